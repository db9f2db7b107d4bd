; with system.s
; POPF cannot set IOPL in ring 3, and says nothing; what an interrupt saves shows it.
fault = lost
start:  mov esp,stack
        call set_up
        push 0x3002
        popfd
        int 0x32

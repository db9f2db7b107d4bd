; with system.s
; STR stores the monitor's selector.
fault = lost
start:  mov esp,stack
        call set_up
        str eax
        cmp eax,0x28
        jnz monitored
        jmp bare

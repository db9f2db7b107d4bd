; with system.s
; SLDT stores the monitor's selector.
fault = lost
start:  mov esp,stack
        call set_up
        mov eax,0x30
        lldt ax
        sldt eax
        cmp eax,0x30
        jnz monitored
        jmp bare

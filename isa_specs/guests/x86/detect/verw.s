; with system.s
; VERW does not see a segment of ring 0 from ring 3.
fault = lost
start:  mov esp,stack
        call set_up
        mov ebx,0x10
        verw bx
        jnz monitored
        jmp bare

; with system.s
; LAR does not see a segment of ring 0 from ring 3.
fault = lost
start:  mov esp,stack
        call set_up
        mov ebx,8
        lar eax,ebx
        jnz monitored
        jmp bare

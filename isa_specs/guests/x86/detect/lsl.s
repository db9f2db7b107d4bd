; with system.s
; LSL does not see a segment of ring 0 from ring 3.
fault = lost
start:  mov esp,stack
        call set_up
        mov ebx,8
        lsl eax,ebx
        jnz monitored
        jmp bare

; with system.s
; MOV from CS shows the ring the guest really runs in.
fault = lost
start:  mov esp,stack
        call set_up
        mov eax,cs
        test al,3
        jnz monitored
        jmp bare

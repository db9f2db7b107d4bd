; with system.s
; PUSH CS shows the ring the guest really runs in.
fault = lost
start:  mov esp,stack
        call set_up
        push cs
        pop eax
        test al,3
        jnz monitored
        jmp bare

; with system.s
; LSS with a segment of ring 3 is refused in ring 0, and not in ring 3.
fault = bare
start:  mov esp,stack
        call set_up
        lss esp,[stack_pointer]
        jmp monitored

; with system.s
; A far CALL to code of ring 3 is refused in ring 0, and not in ring 3.
fault = bare
start:  mov esp,stack
        call set_up
        call far 0x1B:monitored

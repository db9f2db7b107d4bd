; with system.s
; SMSW stores the monitor's CR0: MP is set there, and not here.
fault = lost
start:  mov esp,stack
        call set_up
        smsw eax
        test al,2
        jnz monitored
        jmp bare

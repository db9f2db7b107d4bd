; with system.s
; SIDT stores the address of the monitor's table.
fault = lost
start:  mov esp,stack
        call set_up
        sidt [buffer]
        cmp dword [buffer+2],idt
        jnz monitored
        jmp bare

; with system.s
; SGDT stores the address of the monitor's table.
fault = lost
start:  mov esp,stack
        call set_up
        sgdt [buffer]
        cmp dword [buffer+2],gdt
        jnz monitored
        jmp bare

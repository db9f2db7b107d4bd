; with system.s
; PUSHF shows the interrupt flag of the monitor: CLI has trapped, and cleared the virtual one.
fault = lost
start:  mov esp,stack
        call set_up
        cli
        pushfd
        pop eax
        test eax,0x200
        jnz monitored
        jmp bare

; with system.s
; LES loads a segment of ring 3 without a trap, so the monitor believes that the old one, of ring 0, is still there: on the
; way to ring 1 the virtual machine takes it away.
fault = monitored
start:  mov esp,stack
        call set_up
        les eax,[far_pointer]
        push 0x41
        push outer_stack
        push 2
        push 0x39
        push inside
        iretd
inside:
        mov eax,[es:probe]
        int 0x30

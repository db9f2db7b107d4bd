; with system.s
; A far RET to ring 3 takes the outer stack from the inner one; within ring 3 it does not.
fault = lost
start:  mov esp,stack
        call set_up
        push 0x23
        push outer_stack
        push 0x1B
        push returned
        retf
returned:
        cmp esp,outer_stack
        jz same
        int 0x31
same:
        int 0x30

; Self-modifying code: the immediate byte of an instruction is changed before each use, and a jump is planted.
start:  mov ecx,26
again:  mov al,97
        out 0xE9,al
        inc byte [again+1]     ; the letter inside the MOV
        loop again
        mov ax,[plant]
        mov [hole],ax
hole:   jmp short wrong        ; the jump lies here now
done:   mov al,10
        out 0xE9,al
        cli
        hlt
wrong:  mov al,63
        out 0xE9,al
        cli
        hlt
plant:  jmp short plant+done-hole

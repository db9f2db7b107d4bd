; Sums the squares of 1 to 100 and prints the sum in decimal.
start:  mov esp,stack
        mov ecx,100
        xor ebx,ebx
again:  mov eax,ecx
        mul ecx
        add ebx,eax
        loop again
        mov eax,ebx
        mov ebx,10
        mov edi,digits
divide: xor edx,edx
        div ebx
        add dl,48
        dec edi
        mov [edi],dl
        test eax,eax
        jnz divide
print:  mov al,[edi]
        test al,al
        jz stop
        out 0xE9,al
        inc edi
        jmp short print
stop:   cli
        hlt
        .space 12
digits: .byte 10, 0
        .align 16
        .space 64
stack:

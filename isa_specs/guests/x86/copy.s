; Copies a string with REP MOVSD, once more byte by byte, compares the two and prints the second.
start:  mov esi,text
        mov edi,first
        mov ecx,6
        rep movsd
        mov esi,first
        mov edi,second
        mov ecx,length
next:   lodsb
        stosb
        loop next
        mov esi,first
        mov edi,second
        mov ecx,length
        rep cmpsb
        jnz stop
        mov esi,second
        mov ecx,length
print:  lodsb
        out 0xE9,al
        loop print
stop:   cli
        hlt
text:   .ascii "a string, moved twice\n"
text_end:
length = text_end-text
        .align 4
first:  .space 24
second: .space 24

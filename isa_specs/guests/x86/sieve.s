; The sieve of Eratosthenes up to 100; prints '*' for a prime and '.' for any other number from 2 on.
limit = 100
start:  mov ebx,2              ; the number whose multiples go
outer:  mov eax,ebx
        mul ebx
        cmp eax,limit
        jnbe show
mark:   mov byte [table+eax],1
        add eax,ebx
        cmp eax,limit
        jbe mark
        inc ebx
        jmp outer
show:   mov ebx,2
each:   mov al,42
        cmp byte [table+ebx],0
        jz print
        mov al,46
print:  out 0xE9,al
        inc ebx
        cmp ebx,limit
        jbe each
        cli
        hlt
table:  .space limit+1

; Loops for tests/benchmarks/emulators.py, which sets `count` and `loop`. Flat segments, ring 0, no paging, no interrupts.

start:  lgdt [descriptors]
        mov eax,0x10
        mov ds,ax
        mov es,ax
        mov ss,ax
        mov esp,0x180000
        mov ebx,0
        mov ecx,0
        mov edx,0              ; what emulators begin with differs
        mov ebp,[count]
        mov eax,[entry]
        jmp eax
ended:  mov [count],ebp        ; nothing is left
        mov [result],eax
        mov [result+4],ebx
        mov [result+8],ecx
stopped: mov al,0
        out 0xF4,al            ; ends QEMU
        xchg bx,bx             ; stops Bochs
halt:   hlt
        jmp halt

arithmetic: mov eax,0x12345678
sums:   mov ebx,eax
        imul ebx,ebx,0x41C64E6D
        add ebx,12345
        mov eax,ebx
        shr ebx,7
        xor eax,ebx
        lea ecx,[ebx+eax*4]
        sub eax,ecx
        rol eax,5
        adc eax,edx
        dec ebp
        jnz sums
        jmp ended

copy:   mov esi,from
        mov edi,to
        mov ecx,64
        rep movsd
        mov ecx,16
words:  mov eax,[from+ecx*4-4]
        mov [to+ecx*4-4],eax
        dec ecx
        jnz words
        dec ebp
        jnz copy
        jmp ended

limit = 4000
sieve:  mov edi,table          ; once more: all numbers up to the limit, each struck out if it is a multiple
        mov ecx,limit+1
        mov al,0
clear:  mov [edi],al
        inc edi
        dec ecx
        jnz clear
        mov ebx,2
outer:  mov eax,ebx
        mul ebx
        cmp eax,limit
        jnbe again
        cmp byte [table+ebx],0
        jnz next
mark:   mov byte [table+eax],1
        add eax,ebx
        cmp eax,limit
        jbe mark
next:   inc ebx
        jmp outer
again:  dec ebp
        jnz sieve
        jmp ended

        .align 8
descriptors: .half 0x1F
        .word 0x1000
        .align 4
count:  .word 0
entry:  .word 0
result: .word 0, 0, 0
from    = start
to      = 0x121000
table   = 0x122000

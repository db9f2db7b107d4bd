; A small operating system in protected mode: a kernel in ring 0 with system calls and preemption by the clock, and two user
; programs in ring 3. It ends when both have.
;
;   INT 30h with EAX = 0: end this program    1: print the character in BL    2: let the other program run

console = 0xE9

start:  mov esp,kernel_stack
        lgdt [gdt_image]
        lidt [idt_image]
        mov eax,0x28
        ltr ax
        mov eax,0x23           ; user data: good for the kernel too, and it survives the way out
        mov ds,ax
        mov es,ax
        mov esi,hello
        call print_text
        jmp dispatch

; ---- printing, with interrupts kept away meanwhile -----------------------------------------------------------------

print_text:
        pushfd
        cli
more:   lodsb
        test al,al
        jz printed
        out console,al
        jmp short more
printed:
        popfd
        ret

; ---- the scheduler: a process block holds the kernel stack pointer, the next block, 1 while it runs, the stack's top ----

switch: mov edi,[current]
        mov [edi],esp
        mov ecx,2
search: mov edi,[edi+4]
        cmp dword [edi+8],0
        jnz found
        loop search
        mov esi,farewell
        call print_text
        cli
        hlt
found:  mov [current],edi
dispatch:
        mov edi,[current]
        mov esp,[edi]
        mov eax,[edi+12]
        mov [tss+4],eax
leave_kernel:
        popad
        iretd

timer:  pushad
        jmp switch

system_call:
        pushad
        cmp eax,1
        jz put_character
        cmp eax,2
        jz switch
end:    mov edi,[current]
        mov dword [edi+8],0
        jmp switch
put_character:
        mov al,bl
        out console,al
        jmp leave_kernel

protection:                    ; a program did what only the kernel may
        add esp,4
        pushad
        mov al,33
        out console,al
        jmp end

; ---- tables --------------------------------------------------------------------------------------------------------

        .align 8
gdt:    .quad 0
        .quad 0x00CF9A000000FFFF           ; 08 kernel code
        .quad 0x00CF92000000FFFF           ; 10 kernel data
        .quad 0x00CFFA000000FFFF           ; 18 user code
        .quad 0x00CFF2000000FFFF           ; 20 user data
        .quad 0x0000890000000067+tss*0x10000 ; 28 task state
gdt_image:
        .half 0x2F
        .word gdt
idt_image:
        .half 0x187
        .word idt
        .align 8
tss:    .word 0, 0, 0x10
        .space 92
current: .word first
first:  .word first_frame, second, 1, first_top
second: .word second_frame, first, 1, second_top
hello:  .ascii "two programs: \0"
farewell: .ascii " done\n\0"

        .align 8
idt:    .space 13*8
        .quad 0x00008E0000080000+protection
        .space 18*8
        .quad 0x00008E0000080000+timer
        .space 15*8
        .quad 0x0000EE0000080000+system_call

        .space 256
kernel_stack:
        .space 256
first_frame: .space 32
        .word one, 0x1B, 0x202, 0x9000, 0x23
first_top:
        .space 256
second_frame: .space 32
        .word two, 0x1B, 0x202, 0xA000, 0x23
second_top:

; ---- the first program prints a letter now and then, and ends --------------------------------------------------------

one:    mov ebx,65             ; A
        mov edx,6
work:   mov ecx,150
busy:   loop busy
        mov eax,1
        int 0x30
        inc ebx
        dec edx
        jnz work
        xor eax,eax
        int 0x30

; ---- the second yields once, and in the end tries what only the kernel may -------------------------------------------

two:    mov ebx,97             ; a
        mov edx,6
        mov eax,2
        int 0x30
toil:   mov ecx,100
idle:   loop idle
        mov eax,1
        int 0x30
        inc ebx
        dec edx
        jnz toil
        hlt
        jmp two                ; not reached

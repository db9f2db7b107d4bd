; Echoes what is typed, halted between the interrupts, up to the end of the line. Every other while interrupts are disabled, so that
; they have to wait.
start:  mov esp,stack
        lgdt [gdt_image]
        lidt [idt_image]
        sti
rest:   hlt
        cli
        mov ecx,400
busy:   loop busy
        sti
        jmp rest

key:    in al,0x60
        out 0xE9,al
        cmp al,10
        jz stop
tick:   iretd
stop:   cli
        hlt

        .align 8
gdt:    .quad 0
        .quad 0x00CF9A000000FFFF           ; 08 code
        .quad 0x00CF92000000FFFF           ; 10 data
gdt_image:
        .half 0x17
        .word gdt
idt_image:
        .half 0x10F
        .word idt
        .align 8
idt:    .space 0x20*8
        .quad 0x00008E0000080000+tick
        .quad 0x00008E0000080000+key
        .space 128
stack:

; The system the detectors run in: flat segments for rings 0, 1 and 3, handlers, and the two answers. A detector begins at
; `start` in ring 0, and ends at `bare` or `monitored`, or by INT 30h or 31h where it cannot jump there. `fault` is where a
; general-protection fault goes.

        .align 4
bare:   mov al,66              ; B
        jmp short answer
monitored:
        mov al,77              ; M
        jmp short answer
lost:   mov al,63              ; ?
answer: out 0xE9,al
        cli
        hlt

inspect:                       ; INT 32h: the flags the interrupt has saved
        mov eax,[esp+8]
        test eax,0x3000
        jz monitored
        jmp bare

set_up: lgdt [gdt_image]
        lidt [idt_image]
        mov eax,0x28
        ltr ax
        ret

        .align 8
gdt:    .quad 0
        .quad 0x00CF9A000000FFFF           ; 08 code, ring 0
        .quad 0x00CF92000000FFFF           ; 10 data, ring 0
        .quad 0x00CFFA000000FFFF           ; 18 code, ring 3
        .quad 0x00CFF2000000FFFF           ; 20 data, ring 3
        .quad 0x0000890000000067+tss*0x10000 ; 28 task state
        .quad 0x0000820000000007+gdt*0x10000 ; 30 a local table
        .quad 0x00CFBA000000FFFF           ; 38 code, ring 1
        .quad 0x00CFB2000000FFFF           ; 40 data, ring 1
gdt_image:
        .half 0x47
        .word gdt
idt_image:
        .half 0x197
        .word idt
far_pointer:
        .word probe
        .half 0x23
stack_pointer:
        .word outer_stack
        .half 0x23
probe:  .word 0
buffer: .word 0, 0
        .align 8
tss:    .word 0, inner_stack, 0x10
        .space 92
idt:    .space 13*8
        .quad 0x00008E0000080000+fault
        .space 34*8
        .quad 0x0000EE0000080000+bare
        .quad 0x0000EE0000080000+monitored
        .quad 0x0000EE0000080000+inspect
        .space 128
inner_stack:
        .space 128
stack:
        .space 128
outer_stack:

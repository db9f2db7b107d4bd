; Gates that lead to random places, so that an attacker goes on after whatever it has caused.
start:  lgdt [table]
        lidt [gates]
        mov esp,0x2FF0
        jmp p0
        .align 8
descriptors: .quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF, 0x00CFFA000000FFFF, 0x00CFF2000000FFFF
table:  .half 0x27
        .word descriptors
gates:  .half 0x17F
        .word idt
        .align 8
idt:
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .quad 0x00008E0000080000+p0
        .quad 0x00008E0000080000+p1
        .quad 0x00008E0000080000+p2
        .quad 0x00008E0000080000+p3
        .quad 0x00008E0000080000+p4
        .quad 0x00008E0000080000+p5
        .quad 0x00008E0000080000+p6
        .quad 0x00008E0000080000+p7
        .org 0x1400

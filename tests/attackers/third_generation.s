; A new PSW that leads to a random place, in supervisor mode, with all of storage in its window.
        .org 0
        .quad 0
        .quad p0*0x100000000+0x1C00
        .org 0x100
start:  LA 0,0(0)

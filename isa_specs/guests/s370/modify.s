; Self-modifying code: the immediate byte of an instruction is changed before each use, and a branch is planted.
start:  LA    2,26(0,0)
again:  MVI   letter(0),97
        WRD   letter(0),1
        IC    3,again+1(0,0)   ; the letter inside the MVI
        LA    3,1(0,3)
        STC   3,again+1(0,0)
        BCT   2,again(0,0)
        MVC   hole(3,0),plant(0)
hole:   WRD   wrong(0),1       ; never executed: the branch lies here now
        LPSW  stop(0)
done:   WRD   newline(0),1
        LPSW  stop(0)
plant:  BC    15,done(0,0)
        .align 8
stop:   .quad 0x0002000000000000
letter: .byte 0
wrong:  .ascii "?"
newline: .byte 10

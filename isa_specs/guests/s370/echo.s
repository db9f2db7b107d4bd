; Echoes what is typed, in a wait state between the interruptions, up to the end of the line. Ticks of the timer come in between.
key_code = 0x40
        .org  0x58
        .quad external
        .org  0x200
start:  LPSW  idle(0)

external: CLI 0x1B(0),key_code ; the interruption code in the old PSW
        BC    7,back(0,0)
        RDD   typed(0),0
        WRD   typed(0),1
        CLI   typed(0),10
        BC    7,back(0,0)
        LPSW  stop(0)
back:   LPSW  0x18(0)

        .align 8
idle:   .quad 0x0102000000000000        ; enabled wait
stop:   .quad 0x0002000000000000        ; disabled wait
typed:  .byte 0

; The sieve of Eratosthenes up to 100; prints '*' for a prime and '.' for any other number from 2 on.
limit = 100
start:  LA    7,limit(0,0)
        LA    5,2(0,0)         ; the number whose multiples go
outer:  LR    3,5
        MR    2,5              ; its square, in register 3
        CR    3,7
        BC    2,show(0,0)
mark:   STC   7,table(3,0)
        AR    3,5
        CR    3,7
        BC    12,mark(0,0)
        LA    5,1(0,5)
        BC    15,outer(0,0)
show:   LA    5,2(0,0)
each:   LA    6,table(5,0)
        CLI   0(6),0
        BC    8,prime(0,0)
        WRD   dot(0),1
        BC    15,further(0,0)
prime:  WRD   star(0),1
further: LA   5,1(0,5)
        CR    5,7
        BC    12,each(0,0)
        LPSW  stop(0)
star:   .ascii "*"
dot:    .ascii "."
        .align 8
stop:   .quad 0x0002000000000000
table:  .space limit+1

; The sieve of Eratosthenes up to 100; prints '*' for a prime and '.' for any other number from 2 on. Numbers count words.
output = 1
start:  LA    1,4(0)           ; one word
        LA    2,8(0)           ; the number whose multiples go
        LA    9,404(0)
outer:  LA    3,0(2)
        A     3,2
mark:   BL    3,9,strike
        A     2,1
        BL    2,9,outer
        LA    2,8(0)
        L     6,star(0)
        L     7,dot(0)
each:   L     5,table(2)
        BE    5,0,prime
        OUT   7,output(0)
        BE    0,0,further
prime:  OUT   6,output(0)
further: A    2,1
        BL    2,9,each
        HALT
strike: ST    1,table(3)
        A     3,2
        BE    0,0,mark
        .align 4
star:   .word 42
dot:    .word 46
table:  .space 404

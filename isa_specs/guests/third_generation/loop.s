; Sums the squares of 1 to 100, by adding, and prints the sum in decimal. It starts behind the PSWs of traps.
output = 1
start:  L     1,one(0)
        LA    2,0(0)           ; the sum
        LA    3,0(0)           ; the number
        LA    9,100(0)
number: A     3,1
        LA    5,0(0)           ; how often it has been added
once:   A     2,3
        A     5,1
        BL    5,3,once
        BL    3,9,number
        LA    6,powers(0)
        LA    8,powers_end(0)
        LA    10,4(0)          ; the size of a word
digit:  L     7,0(6)
        L     4,zero(0)        ; the digit 0
less:   BL    2,7,shown
        S     2,7
        A     4,1
        BE    0,0,less
shown:  OUT   4,output(0)
        A     6,10
        BL    6,8,digit
        L     4,newline(0)
        OUT   4,output(0)
        HALT
        .align 4
one:    .word 1
zero:   .word 48
newline: .word 10
powers: .word 100000, 10000, 1000, 100, 10, 1
powers_end:

; Sums the squares of 1 to 100 and prints the sum in decimal.
start:  SR    3,3              ; the sum
        LA    4,100(0,0)
again:  LR    1,4
        MR    0,4
        AR    3,1
        BCT   4,again(0,0)
        CVD   3,decimal(0,0)
        UNPK  digits(7,0),decimal(7,0)
        OI    digits+7(0),0xF0
        LA    5,digits+2(0,0)
        LA    6,6(0,0)
print:  TR    0(0,5),ascii-0xF0(0)
        WRD   0(5),1
        LA    5,1(0,5)
        BCT   6,print(0,0)
        WRD   newline(0),1
        LPSW  stop(0)
        .align 8
decimal: .quad 0
stop:   .quad 0x0002000000000000
digits: .space 8
newline: .byte 10
        .align 256
ascii:  .ascii "0123456789"

; Loops for tests/benchmarks/emulators.py, which sets `psw`, `count` and `entry`. The clock is stored before and after.

        .org  0
        .quad begin            ; restart PSW
        .org  0x60
        .quad 0x000A000000000000
        .org  0x200
begin:  LCTL  0,1,controls(0)
        LPSW  psw(0)
started: STCK before(0)
        LM    10,11,count(0)
        BCR   15,11
ended:  STCK  after(0)
        STM   0,9,result(0)
        SVC   0

arithmetic: L 2,seed(0,0)
        SR    4,4
sums:   LR    5,2
        M     4,factor(0,0)
        A     5,seed(0,0)
        LR    2,5
        SRL   5,7(0)
        XR    2,5
        SLL   5,3(0)
        ALR   2,5
        S     2,factor(0,0)
        N     2,mask(0,0)
        BCT   10,sums(0,0)
        BC    15,ended(0,0)

copy:   LA    5,0x800(0,0)
        LA    6,0xC00(0,0)
words:  MVC   0(255,5),0(6)
        LM    0,3,0(6)
        STM   0,3,256(5)
        L     7,16(0,6)
        ST    7,272(0,5)
        LH    8,20(0,6)
        STH   8,276(0,5)
        IC    9,22(0,6)
        STC   9,278(0,5)
        BCT   10,words(0,0)
        BC    15,ended(0,0)

sieve:  LA    7,limit(0,0)     ; once more: all numbers up to the limit, each struck out if it is a multiple
        L     9,table(0,0)
        SR    0,0
        LA    8,1(0,0)
clear:  LA    1,0(8,9)
        STC   0,0(0,1)
        LA    8,1(0,8)
        CR    8,7
        BC    12,clear(0,0)
        LA    5,2(0,0)
outer:  LR    3,5
        MR    2,5
        CR    3,7
        BC    2,again(0,0)
        LA    1,0(5,9)
        CLI   0(1),0
        BC    7,next(0,0)
mark:   STC   7,0(3,9)
        AR    3,5
        CR    3,7
        BC    12,mark(0,0)
next:   LA    5,1(0,5)
        BC    15,outer(0,0)
again:  BCT   10,sieve(0,0)
        BC    15,ended(0,0)

limit = 4000
        .align 8
psw:    .quad 0
before: .quad 0
after:  .quad 0
count:  .word 0
entry:  .word 0
seed:   .word 0x12345678
factor: .word 0x41C64E6D
mask:   .word 0x7FFFFFFB
controls: .word 0x00800000, 0x00001000
table:  .word 0x3000
result: .space 40

        .org  0xC00            ; what is copied
        .word 0x12345678, 0x9ABCDEF0, 0x0FEDCBA9, 0x87654321, 0x11223344, 0x8899AABB

        .org  0x1000           ; one segment of 64K: pages of 4K, each in its place
        .word 0xF0001800
        .org  0x1800
        .half 0x000, 0x010, 0x020, 0x030, 0x040, 0x050, 0x060, 0x070, 0x080, 0x090, 0x0A0, 0x0B0, 0x0C0, 0x0D0, 0x0E0, 0x0F0

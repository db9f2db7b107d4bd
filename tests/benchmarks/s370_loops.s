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
        STD   0,floats(0,0)
        STD   2,floats+8(0,0)
        STD   4,floats+16(0,0)
        STD   6,floats+24(0,0)
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

decimal: ZAP  interest(15,0),balance(4,0) ; a month of a deposit: interest, a fee, twelfths, and what is printed
        MP    interest(15,0),rate(2,0)
        SRP   interest(15,0),59(0),5
        AP    balance(4,0),interest(15,0)
        SP    balance(4,0),fee(1,0)
        CP    balance(4,0),most(4,0)
        BC    12,kept(0,0)
        ZAP   balance(4,0),opening(4,0)
kept:   ZAP   share(7,0),balance(4,0)
        DP    share(7,0),parties(1,0)
        SP    balance(4,0),share+6(1,0)
        MVC   line(12,0),picture(0)
        ED    line(12,0),balance(0)
        UNPK  zoned(8,0),balance(4,0)
        PACK  packed(7,0),zoned(8,0)
        CVB   7,packed(0,0)
        AR    8,7
        CVD   8,sum(0,0)
        BCT   10,decimal(0,0)
        BC    15,ended(0,0)

short:  LE    0,angle(0,0)     ; sines of angles up to a quarter turn, by the series, over the angles
        AE    0,step(0,0)
        LE    2,quarter(0,0)
        CER   0,2
        BC    12,within(0,0)
        SER   0,2
within: STE   0,angle(0,0)
        LER   2,0
        MER   2,2
        LE    4,seventh(0,0)
        MER   4,2
        AE    4,fifth(0,0)
        MER   4,2
        AE    4,third(0,0)
        MER   4,2
        AE    4,unit(0,0)
        MER   4,0
        AER   6,4
        LTER  6,6
        BC    4,ended(0,0)
        DE    4,angle(0,0)
        STE   4,ratio(0,0)
        BCT   10,short(0,0)
        BC    15,ended(0,0)

long:   AD    0,unit(0,0)      ; square roots by three steps of Newton's, and the sum of what they divide 1 into
        LDR   2,0
        LA    9,3(0,0)
newton: LDR   4,0
        DDR   4,2
        ADR   2,4
        HDR   2,2
        BCT   9,newton(0,0)
        STD   2,root(0,0)
        LDR   4,2
        MDR   4,2
        SDR   4,0
        LPDR  4,4
        CD    4,error(0,0)
        BC    12,smaller(0,0)
        STD   4,error(0,0)
smaller: LD   4,unit(0,0)
        DDR   4,2
        ADR   6,4
        CD    0,thousand(0,0)
        BC    12,further(0,0)
        LD    0,unit(0,0)
further: BCT  10,long(0,0)
        BC    15,ended(0,0)

limit = 4000
        .org  0xA00            ; apart from the code
psw:    .quad 0
before: .quad 0
after:  .quad 0
count:  .word 0
entry:  .word 0
seed:   .word 0x12345678
factor: .word 0x41C64E6D
mask:   .word 0x7FFFFFFB
controls: .word 0x00800000, 0x00001000
unit:   .quad 0x4110000000000000
thousand: .quad 0x433E800000000000
error:  .quad 0
root:   .quad 0
ratio:  .word 0
angle:  .word 0
step:   .word 0x3E418937       ; 0.001
quarter: .word 0x411921FB
third:  .word 0xC02AAAAB
fifth:  .word 0x3F222222
seventh: .word 0xBDD00D01
balance: .byte 0x00, 0x12, 0x34, 0x56, 0x7C
opening: .byte 0x00, 0x12, 0x34, 0x56, 0x7C
most:   .byte 0x20, 0x00, 0x00, 0x00, 0x0C
rate:   .byte 0x00, 0x43, 0x7C ; in thousandths of a per cent
fee:    .byte 0x19, 0x5C
parties: .byte 0x01, 0x2C
picture: .byte 0x40, 0x20, 0x6B, 0x20, 0x20, 0x20, 0x6B, 0x20, 0x20, 0x21, 0x4B, 0x20, 0x20
line:   .space 13
zoned:  .space 9
        .align 8
packed: .space 8
sum:    .quad 0
share:  .quad 0
interest: .space 16
floats: .space 32
table:  .word 0x3000
result: .space 40

        .org  0xC00            ; what is copied
        .word 0x12345678, 0x9ABCDEF0, 0x0FEDCBA9, 0x87654321, 0x11223344, 0x8899AABB

        .org  0x1000           ; one segment of 64K: pages of 4K, each in its place
        .word 0xF0001800
        .org  0x1800
        .half 0x000, 0x010, 0x020, 0x030, 0x040, 0x050, 0x060, 0x070, 0x080, 0x090, 0x0A0, 0x0B0, 0x0C0, 0x0D0, 0x0E0, 0x0F0

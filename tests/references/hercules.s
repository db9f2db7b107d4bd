; Runs a table of cases on a System/370 of 8 MiB, one after the other, and writes down what became of each. Written for
; tests/references/hercules.py, which knows the layout of both tables.
;
; A case brings the bytes it wants in storage, among them its registers, its PSW and the new PSWs, all at the beginning of
; the block its prefix names. So this program touches no storage a case can see, but for the first instruction of a handler.
;
;   case    0 control registers   64 prefix   68 number of patches   72 clock comparator   80 keys   96 patches
;   patch   address, length, bytes up to a multiple of 8
;   result  0 interruption   4 prefix   8 registers   72 control registers   136 clock comparator   144 keys
;           156 number of changed bytes   160 floating-point registers   192 for each changed byte its address, its value

registers = 0xE00              ; in the block of the prefix
psw       = 0xE40
base      = 0xE48
floats    = 0xE50
blocks    = 12                 ; storage keys a case can set: of the low window and of the last one

driver: BALR  12,0
here:   LA    1,here-driver(0,0)
        SR    12,1
        L     11,table-driver(0,12)
        L     10,results-driver(0,12)

case:   SR    5,5              ; clear both windows
        SR    4,4
        L     3,low_size-driver(0,12)
        SR    2,2
        MVCL  2,4
        L     3,last_size-driver(0,12)
        L     2,last-driver(0,12)
        MVCL  2,4

        L     6,68(0,11)
        LA    7,96(0,11)
        LTR   6,6
        BC    8,patched-driver(0,12)
patch:  L     2,0(0,7)
        L     3,4(0,7)
        LA    4,8(0,7)
        LR    5,3
        MVCL  2,4
        LA    7,7(0,4)
        N     7,doubles-driver(0,12)
        BCT   6,patch-driver(0,12)
patched: ST   7,following-driver(0,12)

        L     2,copy-driver(0,12)
        L     3,low_size-driver(0,12)
        SR    4,4
        LR    5,3
        MVCL  2,4
        L     3,last_size-driver(0,12)
        L     4,last-driver(0,12)
        LR    5,3
        MVCL  2,4

        LA    6,blocks(0,0)
        LA    7,80(0,11)
        LA    8,block-driver(0,12)
key:    IC    1,0(0,7)
        L     2,0(0,8)
        SSK   1,2
        LA    7,1(0,7)
        LA    8,4(0,8)
        BCT   6,key-driver(0,12)

        SPT   never-driver(12)
        SCKC  72(11)
        PTLB
        SPX   64(11)
        LCTL  0,15,0(11)
        LD    0,floats(0,0)
        LD    2,floats+8(0,0)
        LD    4,floats+16(0,0)
        LD    6,floats+24(0,0)
        LM    0,15,registers(0)
        LPSW  psw(0)

; One handler for each kind of interruption: external, supervisor call, program, machine check, input/output.
        .align 8
external: STM 0,15,registers(0)
        LA    9,0(0,0)
        L     12,base(0,0)
        BC    15,finish-driver(0,12)
svc:    STM   0,15,registers(0)
        LA    9,1(0,0)
        L     12,base(0,0)
        BC    15,finish-driver(0,12)
program: STM  0,15,registers(0)
        LA    9,2(0,0)
        L     12,base(0,0)
        BC    15,finish-driver(0,12)
check:  STM   0,15,registers(0)
        LA    9,3(0,0)
        L     12,base(0,0)
        BC    15,finish-driver(0,12)
io:     STM   0,15,registers(0)
        LA    9,4(0,0)
        L     12,base(0,0)

finish: L     10,results-driver(0,12)
        ST    9,0(0,10)
        STPX  4(10)
        MVC   8(63,10),registers(0)
        STCTL 0,15,72(10)
        STD   0,160(0,10)
        STD   2,168(0,10)
        STD   4,176(0,10)
        STD   6,184(0,10)
        LCTL  0,15,controls-driver(12)
        STCKC 136(10)
        SCKC  never-driver(12)
        SPX   zero-driver(12)

        LPSW  extended-driver(12)      ; BC mode shows no reference and change bits
keyed:  LA    6,blocks(0,0)
        LA    7,144(0,10)
        LA    8,block-driver(0,12)
held:   L     2,0(0,8)
        ISK   1,2
        STC   1,0(0,7)
        LA    7,1(0,7)
        LA    8,4(0,8)
        BCT   6,held-driver(0,12)

        LA    8,192(0,10)
        SR    9,9
        SR    2,2
        L     3,low_size-driver(0,12)
        L     4,copy-driver(0,12)
        LR    5,3
        BAL   14,compare-driver(0,12)
        L     2,last-driver(0,12)
        L     3,last_size-driver(0,12)
        LR    5,3
        BAL   14,compare-driver(0,12)
        ST    9,156(0,10)
        ST    8,results-driver(0,12)

        L     1,done-driver(0,12)
        LA    1,1(0,1)
        ST    1,done-driver(0,12)
        L     11,following-driver(0,12)
        ST    11,table-driver(0,12)
        C     1,count-driver(0,12)
        BC    8,stop-driver(0,12)
        C     8,limit-driver(0,12)
        BC    4,case-driver(0,12)
stop:   LPSW  wait-driver(12)

; Write down where the bytes at 2 and 4 differ; both addresses are behind them in the end.
compare: CLCL 2,4
        BCR   8,14
        SR    1,1
        IC    1,0(0,2)
        ST    2,0(0,8)
        ST    1,4(0,8)
        LA    8,8(0,8)
        LA    9,1(0,9)
        LA    2,1(0,2)
        LA    4,1(0,4)
        BCTR  3,0
        BCTR  5,0
        BC    15,compare-driver(0,12)

        .align 8
wait:   .quad 0x000A000000000000
never:  .quad 0x7FFFFFFFFFFFFFFF
extended: .quad 0x0008000000000000 + keyed
controls: .word 0xE0, 0, 0xFFFFFFFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xC2000000, 0x200
zero:   .word 0
doubles: .word 0xFFFFFFF8
low_size: .word 0x4000
last:   .word 0x7FE000
last_size: .word 0x2000
block:  .word 0, 0x800, 0x1000, 0x1800, 0x2000, 0x2800, 0x3000, 0x3800, 0x7FE000, 0x7FE800, 0x7FF000, 0x7FF800
copy:   .word 0x410000
table:  .word 0x420000
limit:  .word 0x7CA000
following: .word 0
; What the host sets and reads.
count:  .word 0
done:   .word 0
results: .word 0x6A0000

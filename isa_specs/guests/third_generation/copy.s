; Copies a string word by word, compares the two and prints the second, one character in each word.
output = 1
start:  LA    1,4(0)
        LA    2,0(0)
        LA    9,length(0)
next:   L     5,text(2)
        ST    5,copy(2)
        A     2,1
        BL    2,9,next
        LA    2,0(0)
print:  L     5,text(2)
        L     6,copy(2)
        BE    5,6,same
        HALT
same:   OUT   6,output(0)
        A     2,1
        BL    2,9,print
        HALT
        .align 4
text:   .word 67, 65, 67, 77, 32, 49, 55, 40, 55, 41, 10
text_end:
length = text_end-text
copy:   .space length

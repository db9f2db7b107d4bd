; Runs a table of cases on a PC without a BIOS and writes down what became of each; for tests/references/x86_image.py, which knows the layout
; of both tables. Everything is in ring 0 until a case begins; SS holds a flat ring-0 segment again when a handler begins.
;
;   case    0 EAX ECX EDX EBX ESP EBP ESI EDI   32 EIP   36 CS   40 EFLAGS   44 SS   48 DS ES FS GS   64 CR0   68 CR2   72 patches
;           76 patches: address, length, bytes up to a multiple of 4
;   result  0 vector   4 EAX ECX EDX EBX ESP EBP ESI EDI   36 DS ES FS GS SS LDTR TR   64 CR0 CR2 CR3   76 GDTR   84 IDTR
;           92 number of changed words   96 for each its address, its value

gdt      = 0x1000
stack    = 0x110000
pristine = 0x180000            ; a copy of the windows, one behind the other
table    = 0x200000
results  = 0x500000
results_end = 0x7C0000

entry:  lgdt [gdt_image]
        mov eax,0x10
        mov ds,ax
        mov es,ax
        mov ss,ax
        mov esp,stack
        mov al,0xFF            ; no interrupts from outside
        out 0x21,al
        out 0xA1,al
        mov eax,pages
        mov cr3,eax
        mov eax,0x80000011
        mov cr0,eax
        lidt [idt_image]
        mov edi,pristine
        mov ebx,windows
keep:   mov esi,[ebx]
        mov ecx,[ebx+4]
        rep movsd
        add ebx,8
        cmp ebx,windows_end
        jb keep
        mov dword [case],table
        mov dword [result],results
        jmp proceed

next:   push 2           ; what a case may have left in EFLAGS, and POPF does not touch
        push 8
        push clean
        iretd
clean:  mov ebp,[case]
        mov ecx,[ebp+72]
        lea esi,[ebp+76]
        jecxz patched
patch:  mov edx,ecx
        mov edi,[esi]
        mov ecx,[esi+4]
        add esi,8
        rep movsb
        add esi,3
        and esi,0xFFFFFFFC
        mov ecx,edx
        loop patch
patched: mov [following],esi

        and byte [gdt+0x2D],0xFD ; the task is not busy, or LTR refuses it
        mov eax,0x28
        ltr ax
        mov eax,0x30
        lldt ax
        xor eax,eax
        mov dr0,eax
        mov dr1,eax
        mov dr2,eax
        mov dr3,eax
        mov dr6,eax
        mov dr7,eax
        mov cr4,eax
        mov eax,pages
        mov cr3,eax
        mov eax,[ebp+68]
        mov cr2,eax
        mov eax,[ebp+64]
        mov cr0,eax

        mov eax,[ebp+32]
        mov [target],eax
        mov eax,[ebp+36]
        mov [target+4],eax
        mov eax,[ebp+16]
        mov [target_esp],eax
        mov esp,stack
        push dword [ebp+44]
        push dword [ebp+16]
        push dword [ebp+40]
        push dword [ebp+36]
        push dword [ebp+32]
        mov al,[ebp+36]
        and al,3
        mov [ring],al
        push dword [ebp+48]
        mov es,[ebp+52]
        mov fs,[ebp+56]
        mov gs,[ebp+60]
        mov eax,[ebp+0]
        mov ecx,[ebp+4]
        mov edx,[ebp+8]
        mov ebx,[ebp+12]
        mov esi,[ebp+24]
        mov edi,[ebp+28]
        mov ebp,[ebp+20]
        cmp byte [ring],0
        pop ds
        jz inner
        iretd
inner:  add esp,8
        popfd
        mov esp,[ss:target_esp]
        jmp far dword [ss:target]

; A handler is 16 bytes: it names its vector and comes here.
finish: mov [ss:registers],eax
        mov [ss:registers+4],ecx
        mov [ss:registers+8],edx
        mov [ss:registers+12],ebx
        mov [ss:registers+16],esp
        mov [ss:registers+20],ebp
        mov [ss:registers+24],esi
        mov [ss:registers+28],edi
        xor eax,eax
        mov ax,ds
        mov [ss:registers+32],eax
        mov ax,es
        mov [ss:registers+36],eax
        mov ax,fs
        mov [ss:registers+40],eax
        mov ax,gs
        mov [ss:registers+44],eax
        mov ax,ss
        mov [ss:registers+48],eax
        sldt ax
        mov [ss:registers+52],eax
        str ax
        mov [ss:registers+56],eax
        mov eax,cr0
        mov [ss:registers+60],eax
        mov eax,cr2
        mov [ss:registers+64],eax
        mov eax,cr3
        mov [ss:registers+68],eax
        sgdt [ss:registers+72]
        sidt [ss:registers+80]
        lgdt [ss:gdt_image]
        lidt [ss:idt_image]
        mov eax,0x10
        mov ds,ax
        mov es,ax
        mov ss,ax
        mov esp,stack
        mov eax,pages
        mov cr3,eax
        mov eax,0x80000011
        mov cr0,eax
        cld
        mov edi,[result]
        mov eax,[vector]
        stosd
        mov esi,registers
        mov ecx,22
        rep movsd
        lea ebp,[edi+4]        ; behind the number of changed words

        mov edx,pristine
        mov ebx,windows
window: mov edi,[ebx]
        mov ecx,[ebx+4]
        mov esi,edx
        lea edx,[edx+ecx*4]
differ: jecxz same
        rep cmpsd
        jz same
        mov eax,[edi-4]
        mov [ebp+4],eax
        lea eax,[edi-4]
        mov [ebp+0],eax
        add ebp,8
        mov eax,[esi-4]        ; as it was, for the next case
        mov [edi-4],eax
        jmp differ
same:   add ebx,8
        cmp ebx,windows_end
        jb window
        mov edi,[result]
        mov eax,ebp
        sub eax,edi
        sub eax,96
        shr eax,3
        mov [edi+92],eax
        mov [result],ebp
        inc dword [done]
        mov eax,[following]
        mov [case],eax

proceed: mov eax,[done]
        cmp eax,[count]
        jnb stop
        cmp dword [result],results_end
        jb next
stop:   mov al,0
        out 0xF4,al            ; ends QEMU
        xchg bx,bx             ; stops Bochs
halt:   hlt
        jmp halt

        .align 4
pages   = 0x10000
gdt_image: .half 0xB7
        .word gdt
        .half 0
idt_image: .half 0x7FF
        .word 0x2000
        .half 0
windows: .word 0, 0x2400, 0x2F000, 0x800, 0x400000, 0xC00
windows_end:
vector: .word 0
ring:   .word 0
target: .word 0, 0
target_esp: .word 0
registers: .space 88
case:   .word 0
result: .word 0
following: .word 0
; What the host sets and reads.
count:  .word 0
done:   .word 0

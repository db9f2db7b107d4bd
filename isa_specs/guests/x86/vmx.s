; What a monitor in VMX root operation executes, and the tables it needs. It lies behind the guests' addresses.

vmxon_region = here+0x3000
vmcs         = here+0x4000

here:
begin:  vmxon qword [vmxon_pointer]
        vmclear qword [vmcs_pointer]
        vmptrld qword [vmcs_pointer]
launch: vmlaunch
resume: vmresume
        .align 16
vmxon_pointer: .quad vmxon_region
vmcs_pointer: .quad vmcs

        .org here+0x1000       ; the monitor's pages: the guest's storage, and its own for itself only
        .word 0x00000087, 0, 0, 0x00C00083
        .org here+0x2000       ; the guest's: the first 4 MB, which are all it has
        .word 0x00000087
        .org here+0x3000
        .word 1                ; the VMCS revision
        .org here+0x4000
        .word 1, 0, 0

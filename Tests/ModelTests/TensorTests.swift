import Testing
import Torch

@Suite(.serialized) struct TensorTests {
    @Test func `errors say the operation, the shapes and what libtorch says`() throws {
        let a = try Tensor.zeros([2, 3]), b = try Tensor.zeros([4, 5])
        let error = #expect(throws: TorchError.self) { try a.matmul(b) }
        #expect(error?.description.contains("matmul of [2, 3] and [4, 5]") == true)
        // Neither traces of C++ nor several lines.
        #expect(error?.description.contains("frame #") == false)
    }

    @Test func `devices that are not there are refused in our words`() throws {
        let a = try Tensor.zeros([2])
        #expect(try a.to(.cpu).shape == [2] && a.device == .cpu)
        let missing = Device.cuda(Torch.cudaDevices)
        let error = #expect(throws: TorchError.self) { try a.to(missing) }
        #expect(error?.description.contains("\(missing) is not there; there is cpu") == true)
        #expect(throws: TorchError.self) { try Tensor.zeros([1], on: missing) }
        #expect(throws: TorchError.self) { try missing.check() }
        try Device.cpu.check()
    }

    @Test func `devices have names`() {
        #expect(Device("cpu") == .cpu && Device("cuda") == .cuda(0) && Device("cuda:12") == .cuda(12))
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:300", "CPU"] {
            #expect(Device(text) == nil, "\(text)")
        }
        #expect(Device.cuda(3).description == "cuda:3" && Device.cpu.description == "cpu")
    }

    @Test func `scopes end where they end, also by an error`() throws {
        struct Stop: Error {}
        let x = try Tensor.full([3], 2)
        try x.setRequiresGradient()
        #expect(throws: Stop.self) {
            try Torch.withoutGradients { () throws -> Void in
                _ = try x.squared().sum()
                throw Stop()
            }
        }
        try x.squared().sum().backward()
        #expect(try x.gradient()?.doubles() == [4, 4, 4])
        let products = try Torch.autocast { try x.detached().reshape([1, 3]).matmul(Tensor.full([3, 1], 1)) }
        #expect(products.type == .bfloat16)
        #expect(try x.detached().reshape([1, 3]).matmul(Tensor.full([3, 1], 1)).type == .float32)
    }

    @Test func `the kernels in use have names`() {
        #expect(Torch.kernels.contains("OpenBLAS") || Torch.kernels.contains("MKL") || Torch.kernels.contains("oneDNN"))
    }
}

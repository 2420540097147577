import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// Small checkpoints that PyTorch 2.15 wrote; Tests/Data/pytorch/make.py says what is in them.
@Suite struct SampleTests {
    private struct Expected: Decodable {
        let name: String, type: String, shape: [Int], strides: [Int], values: [Double]
    }

    private static func expected() throws -> [Expected] {
        try JSONDecoder().decode(
            [Expected].self, from: Data(contentsOf: URL(fileURLWithPath: Sample.path("expected.json"))))
    }

    private static let typeNames: [TensorType: String] = [
        .f64: "float64", .f32: "float32", .f16: "float16", .bf16: "bfloat16", .i64: "int64", .i32: "int32",
        .i16: "int16",
        .i8: "int8", .u8: "uint8", .bool: "bool",
    ]

    @Test(
        "Tensors of every type and every view come out as PyTorch has them, in order",
        arguments: ["lightning.ckpt", "plain.pt", "protocol4.pt"])
    func tensors(file: String) throws {
        let checkpoint = try PyTorchCheckpoint(path: Sample.path(file)), expected = try Self.expected()
        #expect(checkpoint.names == expected.map(\.name))
        #expect(checkpoint.otherNames == [])
        for tensor in expected {
            let stored = try checkpoint.tensor(tensor.name)
            #expect(stored.shape == tensor.shape, "\(tensor.name)")
            #expect(stored.strides == tensor.strides, "\(tensor.name)")
            #expect(Self.typeNames[stored.type] == tensor.type, "\(tensor.name)")
            #expect(try checkpoint.doubles(tensor.name) == tensor.values, "\(tensor.name)")
        }
        let base = try checkpoint.tensor("view.base").storage
        #expect(try checkpoint.tensor("view.transposed").storage == base)
        #expect(try checkpoint.tensor("view.diagonal").storage == base)
        #expect(try checkpoint.tensor("scalar").storage != base)
    }

    @Test("Values beside the tensors are what was saved", arguments: ["lightning.ckpt", "protocol4.pt"])
    func values(file: String) throws {
        let checkpoint = try PyTorchCheckpoint(path: Sample.path(file))
        #expect(checkpoint.epoch == 3)
        #expect(checkpoint.globalStep == 1 << 40)
        let values = try #require(checkpoint.hyperParameters)
        #expect(values["none"]?.isNone == true)
        #expect(values["yes"]?.bool == true)
        #expect(values["no"]?.bool == false)
        for (name, value) in [
            ("small", 7), ("word", 65535), ("negative", -5), ("int", Int(Int32.max)), ("wide", Int.min),
        ] {
            #expect(values[name]?.int == value, "\(name)")
        }
        guard case .longInteger(let digits)? = values["long"] else {
            Issue.record("no long integer")
            return
        }
        #expect(digits == [0, 0, 0, 0, 0, 0, 0, 0, 64])
        #expect(values["float"]?.double == 0.1)
        #expect(values["text"]?.string == "café")
        #expect(values["list"]?[1]?[0]?.double == 2.5)
        #expect(values["list"]?[2] == nil)
        for (name, count) in [("tuple", 0), ("one", 1), ("two", 2), ("three", 3), ("four", 4)] {
            guard case .tuple(let items)? = values[name] else {
                Issue.record("\(name) is no tuple")
                continue
            }
            #expect(items.map(\.int) == (0..<count).map { $0 + 1 })
        }
        #expect(values["set"]?.list?.map(\.int) == [5])
        #expect(values["numbers"]?.dictionary?.value(forNumber: 1)?.string == "one")
        #expect(values["path"]?.string == "/a/b")
        #expect(values["complex"]?.object?.arguments.map(\.double) == [1, 2])
        #expect(values["partial"]?.object?.partial?.keywords["lr"]?.double == 0.01)
        #expect(values["numpy"]?.object?.name.hasSuffix("multiarray.scalar") == true)
        #expect(values["shared"]?[1]?[1]?.int == 2)
        #expect(values["default"]?["a"]?[0]?.int == 1)
        #expect(values["cycle"]?["self"]?["self"]?["name"]?.string == "cycle")
        guard case .global("torch.float32")? = values["type"] else {
            Issue.record("no type")
            return
        }
        let state = try #require(checkpoint.optimizerStates.first?["state"]?.dictionary?.value(forNumber: 0))
        #expect(try checkpoint.doubles(#require(state["step"]?.tensor)) == [8])
        #expect(try checkpoint.floats(#require(state["exp_avg"]?.tensor)) == [0.5, -0.5])
        #expect(checkpoint.optimizerStates.first?["param_groups"]?[0]?["betas"]?[1]?.double == 0.999)
        #expect(checkpoint.lightningVersion == "2.6.6")
    }

    @Test("A file of the old form, a TorchScript and a zip of something else are refused with advice")
    func others() throws {
        let old = failure { _ = try PyTorchCheckpoint(path: Sample.path("old.pt")) }
        #expect(old?.code == .tooOld)
        #expect(old?.advice?.contains("torch.save") == true)
        let script = try PyTorchCheckpoint(path: Sample.path("script.pt"))
        #expect(script.names == [])
        let error = failure { _ = try script.stateDictionary() }
        #expect(error?.code == .missing)
        #expect(error?.advice?.contains("TorchScript") == true)
        var zip = Zip(pickle: Pickle { $0.op("}") })
        zip.members[0].name = "other/x"
        #expect(code { _ = try PyTorchCheckpoint(bytes: zip.bytes) } == .notPyTorch)
        let tensors = failure { _ = try PyTorchCheckpoint(bytes: tensorFile("{}")) }
        #expect(tensors?.code == .notPyTorch)
        #expect(tensors?.advice?.contains("safetensors") == true)
        #expect(code { _ = try PyTorchCheckpoint(bytes: []) } == .notPyTorch)
    }

    @Test("A state dictionary under another key is found by that key, and the error without it names the keys")
    func otherKey() throws {
        let path = Sample.path("other_key.pt")
        let error = failure { _ = try PyTorchCheckpoint(path: path).stateDictionary() }
        #expect(error?.code == .missing)
        #expect(error?.advice?.contains("model") == true)
        #expect(code { _ = try PyTorchCheckpoint(path: path).floats("w") } == .missing)
        let checkpoint = try PyTorchCheckpoint(path: path, stateKey: "model")
        #expect(try checkpoint.floats("w") == [1])
        // A type that this room has not, is no reason not to read the others.
        #expect(checkpoint.otherNames == ["u16"])
        #expect(code { _ = try checkpoint.entry("u16") } == .unsupported)
        #expect(code { _ = try checkpoint.entry("x") } == .missing)
    }

    @Test("A file that was saved without checksums is read")
    func withoutSums() throws {
        #expect(try PyTorchCheckpoint(path: Sample.path("no_sums.pt")).floats("w") == [1, 2])
    }
}

import Foundation
import SafeTensors
import Support
import TestSupport
import Testing

/// Checkpoints and tensors of the original models.
@Suite struct GoldenTests {
    private struct Expected: Decodable {
        struct Tensor: Decodable {
            let shape: [Int], dtype: String
            let sum: Double, sum_abs: Double, first: [Double]
        }
        let epoch: Int, global_step: Int
        let state_dict: [String: Tensor]
    }

    @Test(
        "Checkpoints of Lightning give names, shapes, sums and first values",
        .enabled(if: !Golden.files(".ckpt").isEmpty))
    func checkpoints() throws {
        for path in Golden.files(".ckpt") {
            let described = try Data(contentsOf: URL(fileURLWithPath: String(path.dropLast(5)) + ".json"))
            let expected = try JSONDecoder().decode(Expected.self, from: described)
            let checkpoint = try PyTorchCheckpoint(path: path)
            #expect(Set(checkpoint.names) == Set(expected.state_dict.keys))
            #expect(checkpoint.names.count == expected.state_dict.count)
            #expect(checkpoint.otherNames == [])
            #expect(checkpoint.epoch == expected.epoch)
            #expect(checkpoint.globalStep == expected.global_step)
            for (name, tensor) in expected.state_dict {
                let entry = try checkpoint.entry(name), values = try checkpoint.doubles(name)
                #expect(entry.shape == tensor.shape)
                #expect("\(entry.type)" == tensor.dtype.replacingOccurrences(of: "float", with: "f"))
                #expect(Array(values.prefix(tensor.first.count)) == tensor.first, "\(path) \(name)")
                // Of the last bits, in which sums differ by their order, only few.
                #expect(abs(values.reduce(0, +) - tensor.sum) <= 1e-13 * max(1, tensor.sum_abs), "\(path) \(name)")
                #expect(abs(values.reduce(0) { $0 + abs($1) } - tensor.sum_abs) <= 1e-13 * max(1, tensor.sum_abs))
            }
        }
    }

    @Test(
        "Checkpoints give the same bits as the safetensors files made beside them",
        .enabled(if: !Golden.files(".ckpt").isEmpty))
    func sameBits() throws {
        var compared = 0
        for path in Golden.files("_forward.safetensors") {
            let checkpoint = try PyTorchCheckpoint(
                path: path.replacingOccurrences(of: "_forward.safetensors", with: ".ckpt"))
            let file = try SafeTensorsFile(path: path)
            for name in file.names where name.hasPrefix("state_dict/") {
                #expect(try file.bytes(name) == checkpoint.bytes(String(name.dropFirst(11))), "\(path) \(name)")
                compared += 1
            }
        }
        #expect(compared > 50)
    }

    @Test(
        "Hyper-parameters and optimizers' states are plain values, OmegaConf's containers too",
        .enabled(if: !Golden.files("checkpoint_tokenizer.ckpt").isEmpty))
    func plainValues() throws {
        let checkpoint = try PyTorchCheckpoint(path: Golden.folder + "/checkpoint_tokenizer.ckpt")
        let parameters = try #require(checkpoint.hyperParameters)
        #expect(parameters["model_type"]?.string == "VQVAENormFormer")
        #expect(parameters["model_kwargs_loaded"]?.isNone == true)
        #expect(parameters["optimizer"]?.object?.partial?.function == "torch.optim.adamw.AdamW")
        #expect(parameters["optimizer"]?.object?.partial?.keywords["lr"]?.double != nil)
        #expect(parameters["scheduler"]?.object?.partial?.keywords["cooldown"]?.int != nil)
        #expect(checkpoint.lightningVersion == "2.6.6")
        let state = try #require(checkpoint.optimizerStates.first)
        let first = try #require(state["state"]?.dictionary?.value(forNumber: 0))
        let average = try #require(first["exp_avg"]?.tensor)
        let weight = try checkpoint.stateDictionary()[0].tensor
        #expect(average.shape == weight.shape)
        #expect(try checkpoint.floats(average).count == weight.count)
        #expect(state["param_groups"]?[0]?["lr"]?.double != nil)
    }

    @Test(
        "The codebook, whose columns lie one after the other, comes row by row",
        .enabled(if: !Golden.files("checkpoint_tokenizer.ckpt").isEmpty))
    func codebook() throws {
        let checkpoint = try PyTorchCheckpoint(path: Golden.folder + "/checkpoint_tokenizer.ckpt")
        let tensor = try checkpoint.tensor("model.vqlayer.codebook.weight")
        #expect(tensor.strides == [1, tensor.shape[0]])
        #expect(!tensor.isContiguous)
        let (rows, columns) = (tensor.shape[0], tensor.shape[1])
        let stored = try checkpoint.floats("model.vqlayer.codebook.weight")
        // The storage holds the first column, then the second: the transposed tensor is the storage as it lies there.
        let columnwise = (0..<rows * columns).map { stored[$0 % rows * columns + $0 / rows] }
        let bytes = columnwise.flatMap { littleEndian($0.bitPattern) }, file = try contents(checkpoint.path)
        #expect(Data(file).range(of: Data(bytes)) != nil)
    }

    @Test(
        "Tensors have the shapes and types that the files beside them say",
        .enabled(if: !Golden.files(".safetensors").isEmpty))
    func shapes() throws {
        struct Described: Decodable {
            struct Entry: Decodable { let shape: [Int], dtype: String }
            let arrays: [String: Entry]?
        }
        var compared = 0
        for path in Golden.files(".safetensors") {
            let file = try SafeTensorsFile(path: path)
            let data = try Data(
                contentsOf: URL(fileURLWithPath: path.replacingOccurrences(of: ".safetensors", with: ".json")))
            guard let arrays = try JSONDecoder().decode(Described.self, from: data).arrays else { continue }
            #expect(Set(file.names) == Set(arrays.keys))
            for (name, array) in arrays {
                let entry = try file.entry(name)
                let type = "\(entry.type)".replacingOccurrences(of: "u", with: "uint").replacingOccurrences(
                    of: "f", with: "float")
                #expect(entry.shape == array.shape)
                #expect(type == array.dtype || "int" + type.dropFirst() == array.dtype, "\(path) \(name)")
                compared += 1
            }
        }
        #expect(compared > 100)
    }
}

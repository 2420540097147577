import Foundation
import Model
import TestSupport
import Testing
import Torch

@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct ImportTests {
    private func imported(_ name: String) throws -> (Checkpoint, Golden) {
        let folder = try #require(Golden.folder), directory = try TemporaryDirectory()
        let (made, report) = try Checkpoint.importing("\(folder)/\(name).ckpt")
        #expect(report.missing.isEmpty && report.unexpected.isEmpty && !report.loaded.isEmpty)
        // What is written is what is read.
        let path = directory.file("c.safetensors")
        try made.write(path: path)
        return (try Checkpoint(path: path), try Golden("\(name)_forward"))
    }

    private func expectWeights(_ checkpoint: Checkpoint, _ golden: Golden) throws {
        for (name, expected) in try golden.tensors("state_dict/") where !name.hasSuffix(".tril") {
            #expect(try largestDifference(#require(checkpoint.weights[name]), expected) == 0, "\(name)")
        }
    }

    @Test func `a tokenizer of the original is taken over with its preprocessing`() throws {
        let (checkpoint, golden) = try imported("checkpoint_tokenizer")
        try expectWeights(checkpoint, golden)
        let tokenizer = try Tokenizer(checkpoint, file: "c"), lengths = try golden.lengths(),
            jagged = Jagged(lengths: lengths)
        let x = try golden.packed("in/x", lengths)
        let codes = try golden.packed("out/q", lengths).reshape([jagged.rows])
        #expect(try tokenizer.codes(of: x, jagged).integers() == codes.integers())
        #expect(
            try relativeDifference(tokenizer.features(ofCodes: codes, jagged), golden.packed("out/x_reco", lengths))
                < 5e-6)
        #expect(checkpoint.description.features?.features.map(\.name) == ["part_pt", "part_etarel", "part_phirel"])
        #expect(throws: ModelError.self) { try GenerativeModel(checkpoint, file: "c") }
    }

    @Test(arguments: ["checkpoint_generative", "checkpoint_generative_first_public"])
    func `backbones of both public versions are taken over`(_ name: String) throws {
        let (checkpoint, golden) = try imported(name)
        try expectWeights(checkpoint, golden)
        let model = try GenerativeModel(checkpoint, file: "c"), tokens = try golden.tensor("in/tokens")
        let count = tokens.size(1)
        let logits = try model.logits(tokens.reshape([count]), Jagged(lengths: [count])).detached()
        #expect(try relativeDifference(logits, golden.tensor("out/logits").reshape([count, logits.size(1)])) < 5e-6)
    }

    @Test func `a classifier is taken over`() throws {
        let (checkpoint, golden) = try imported("checkpoint_classification")
        try expectWeights(checkpoint, golden)
        let shape = try #require(checkpoint.description.backbone),
            classes = try #require(checkpoint.description.classes)
        let model = try Classifier(shape, head: checkpoint.description.head ?? .summation, classes: classes)
        _ = try model.parameters.load(checkpoint.weights)
        let lengths = try golden.lengths()
        let logits = try model.logits(golden.packed("in/tokens", lengths), Jagged(lengths: lengths)).detached()
        #expect(try relativeDifference(logits, golden.tensor("out/logits")) < 5e-6)
    }

    @Test func `what is no checkpoint of the original is refused`() throws {
        let directory = try TemporaryDirectory(), path = directory.file("x.ckpt")
        try Data("not a checkpoint".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: (any Error).self) { try Checkpoint.importing(path) }
        let folder = try #require(Golden.folder)
        let error = #expect(throws: ModelError.self) {
            try Checkpoint(path: "\(folder)/backbone_generative.safetensors")
        }
        #expect(error?.advice?.contains("import") == true)
    }

    @Test func `released sizes have the original's names, shapes and order`() throws {
        let folder = try #require(Golden.folder)
        let models = try #require(Golden.json("\(folder)/released_sizes.json")["models"] as? [String: [String: Any]])
        let backbone = BackboneConfiguration()
        var mlp = TokenizerConfiguration()
        (mlp.kind, mlp.codes) = (.mlp, 2048)
        let made = [
            "tokenizer_8192": try Tokenizer(TokenizerConfiguration()).parameters,
            "tokenizer_mlp_2048": try Tokenizer(mlp).parameters,
            "backbone_generative": try GenerativeModel(backbone).parameters,
            "backbone_classification_summation": try Classifier(backbone, head: .summation, classes: 2).parameters,
            "backbone_classification_class_attention": try Classifier(backbone, head: .classAttention, classes: 2)
                .parameters,
        ]
        var checked = 0
        for (name, parameters) in made {
            guard let state = models[name]?["state_dict"] as? [[Any]] else { continue }
            checked += 1
            let expected = state.filter { !(($0.first as? String) ?? "").hasSuffix(".tril") }
            #expect(parameters.entries.map(\.name) == expected.compactMap { $0.first as? String }, "\(name)")
            #expect(parameters.entries.map(\.tensor.shape) == expected.compactMap { $0[1] as? [Int] }, "\(name)")
        }
        #expect(checked >= 4)
    }
}

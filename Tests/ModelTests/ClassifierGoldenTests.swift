import Model
import Testing
import Torch

@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct ClassifierGoldenTests {
    private func classifier(_ golden: Golden, _ head: Classifier.Head) throws -> Classifier {
        var shape = BackboneConfiguration()
        shape.vocabulary = try golden.integer("config", "model_kwargs", "vocab_size")
        shape.width = try golden.integer("config", "model_kwargs", "embedding_dim")
        shape.blocks = try golden.integer("config", "model_kwargs", "n_GPT_blocks")
        shape.heads = try golden.integer("config", "model_kwargs", "n_heads")
        shape.length = try golden.integer("config", "model_kwargs", "max_sequence_len")
        let classifier = try Classifier(
            shape, head: head, classes: golden.integer("config", "model_kwargs", "n_out_nodes"))
        let report = try classifier.parameters.load(golden.tensors("param/"))
        #expect(report.missing.isEmpty)
        return classifier
    }

    @Test(arguments: [("head_summation", Classifier.Head.summation), ("head_class_attention", .classAttention)])
    func `logits, gradients and steps are the original's`(_ name: String, _ head: Classifier.Head) throws {
        let golden = try Golden(name), lengths = try golden.lengths(), jagged = Jagged(lengths: lengths)
        let classifier = try classifier(golden, head)
        let tokens = try golden.packed("in/tokens", lengths), labels = try golden.tensor("in/labels")
        #expect(
            try relativeDifference(classifier.logits(tokens, jagged).detached(), golden.tensor("out/logits")) < 5e-6)
        let loss = try classifier.loss(tokens, jagged, labels: labels)
        #expect(abs(try loss.item() / golden.number("scalars", "loss_float64") - 1) < 5e-6)
        try loss.backward()
        #expect(try classifier.parameters.gradientDifference(golden.tensors("grad/")) < 5e-6)
        let without: [String] = try golden.value("scalars", "parameters_without_gradient")
        for name in without { #expect(try classifier.parameters[name]?.gradient() == nil, "\(name)") }
        try classifier.parameters.clearGradients()
        let optimizer = try Optimizer(.adamW(), classifier.parameters)
        for step in 1...10 {
            try classifier.loss(tokens, jagged, labels: labels).backward()
            try optimizer.step(rate: 1e-3, clip: 5)
            let expected = try golden.tensors("adamw/step\(step)/")
            if !expected.isEmpty { #expect(try classifier.parameters.difference(expected) < 5e-6, "step \(step)") }
        }
    }

    @Test(arguments: [("head_summation", Classifier.Head.summation), ("head_class_attention", .classAttention)])
    func `a frozen backbone stays, and its gradients count in the norm`(_ name: String, _ head: Classifier.Head) throws
    {
        let golden = try Golden(name), lengths = try golden.lengths(), jagged = Jagged(lengths: lengths)
        let classifier = try classifier(golden, head)
        let tokens = try golden.packed("in/tokens", lengths), labels = try golden.tensor("in/labels")
        let optimizer = try Optimizer(.adamW(), classifier.parameters, frozen: ["module."])
        for _ in 1...3 {
            try classifier.loss(tokens, jagged, labels: labels).backward()
            try optimizer.step(rate: 1e-3, clip: 5)
        }
        #expect(try classifier.parameters.difference(golden.tensors("frozen/step3/")) < 5e-6)
        for (name, before) in try golden.tensors("param/") where name.hasPrefix("module.") && !name.hasSuffix("tril") {
            #expect(try largestDifference(#require(classifier.parameters[name]).detached(), before) == 0, "\(name)")
        }
    }
}

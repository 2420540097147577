import Convert
import Foundation
import Loader
import Model
import Shards
import StandIn
import Support
import TestSupport
import Testing
import Torch

/// Models on a device that stands for a GPU: its memory cannot be used by loops of the CPU, and an operation that is given tensors of two devices fails.
@Suite(.serialized) struct DeviceTests {
    private static func onGPU<Result>(_ body: (Device) throws -> Result) rethrows -> Result {
        try Torch.withDeviceForGPUs(standin_device()) { try body(.cuda(0)) }
    }

    /// The same weights whatever other suites draw at the same time.
    private static func fill(_ parameters: Parameters, seed: UInt64 = 5) throws {
        var random = Seeded(seed)
        for entry in parameters.trainable {
            let own = entry.tensor.shape, bound = 1 / Float(own.last ?? 1).squareRoot()
            // Those of layer norms are about 1.
            let middle: Float = own.count == 1 && entry.name.hasSuffix("weight") ? 1 : 0
            let values = (0..<entry.tensor.count).map { _ in middle + Float.random(in: -bound...bound, using: &random) }
            try Torch.withoutGradients { try entry.tensor.assign(Tensor.of(values, own)) }
        }
    }

    @Test func `tensors go there and back, and are not mixed with those of the CPU`() throws {
        try Self.onGPU { gpu in
            try gpu.check()
            let numbers: [Float] = [1, -2, 3], there = try Tensor.of(numbers, on: gpu), here = try Tensor.of(numbers)
            #expect(there.device == gpu && here.device == .cpu)
            #expect(try there.floats() == numbers && here.to(gpu).to(.cpu).floats() == numbers)
            #expect(try (there + here.to(gpu)).doubles() == [2, -4, 6])
            #expect(try there.affine(2, 1).sum().item() == 7)
            #expect(throws: TorchError.self) { try there + here }
            #expect(throws: TorchError.self) { try there.rows(Tensor.of([Int64(0)])) }
            #expect(throws: TorchError.self) { try there.withBytes { _ in } }
            #expect(try Tensor.zeros([2], .int64, on: gpu).integers() == [0, 0])
        }
    }

    private static let shape: BackboneConfiguration = {
        var shape = BackboneConfiguration()
        (shape.vocabulary, shape.width, shape.blocks, shape.heads, shape.length) = (14, 16, 2, 4, 10)
        return shape
    }()

    private static func sequences(_ count: Int, seed: UInt64 = 2) -> [[Int64]] {
        var random = Seeded(seed)
        return (0..<count).map { _ in
            [0] + (0..<Int.random(in: 1...9, using: &random)).map { _ in Int64.random(in: 1...12, using: &random) } + [
                13
            ]
        }
    }

    @Test(arguments: [LossPositions.real, .released, .firstPublic])
    func `losses and steps of a backbone are the CPU's`(_ positions: LossPositions) throws {
        func run(_ device: Device) throws -> (losses: [Double], model: GenerativeModel) {
            let model = try GenerativeModel(Self.shape, on: device)
            try Self.fill(model.parameters)
            #expect(model.parameters.entries.allSatisfy { $0.tensor.device == device })
            let optimizer = try Optimizer(.adamW(rate: 1e-2), model.parameters)
            let batch = try TokenBatch(sequences: Self.sequences(90), length: Self.shape.length, on: device)
            let losses = try (0..<6).map { _ in
                let loss = try model.loss(batch, positions: positions)
                try loss.backward()
                try optimizer.step(rate: 1e-2, clip: 0.5)
                return try loss.item()
            }
            return (losses, model)
        }
        let cpu = try run(.cpu), gpu = try Self.onGPU { try run($0) }
        for (ours, theirs) in zip(gpu.losses, cpu.losses) { #expect(abs(ours / theirs - 1) < 1e-5) }
        let expected = Dictionary(
            uniqueKeysWithValues: try cpu.model.parameters.entries.map { ($0.name, try $0.tensor.detached()) })
        #expect(try gpu.model.parameters.difference(expected) < 1e-5)
        try Self.onGPU { _ in
            let few = try gpu.model.generate(jets: 0..<40), same = try cpu.model.generate(jets: 0..<40)
            #expect(zip(few.tokens, same.tokens).count { $0 == $1 } >= 39, "rounding may change one draw")
        }
    }

    @Test func `a vocabulary is kept to without waiting for the device`() throws {
        try Self.onGPU { gpu in
            let model = try GenerativeModel(Self.shape, on: gpu)
            let batch = try TokenBatch(sequences: Self.sequences(30), length: Self.shape.length, on: gpu)
            let before = standin_waits()
            try model.loss(batch).backward()
            #expect(standin_waits() == before)
            for wrong in [[0, 14, 13], [0, 3, 14]] as [[Int64]] {
                let batch = try TokenBatch(sequences: [[0, 3, 13], wrong], length: Self.shape.length, on: gpu)
                #expect(throws: (any Error).self) { try model.loss(batch) }
            }
        }
    }

    @Test(arguments: [Classifier.Head.summation, .classAttention])
    func `classifiers are the CPU's`(_ head: Classifier.Head) throws {
        func run(_ device: Device) throws -> [Double] {
            let model = try Classifier(Self.shape, head: head, classes: 3, on: device)
            try Self.fill(model.parameters)
            let sequences = Self.sequences(20).map { Array($0.prefix(10)) },
                jagged = Jagged(lengths: sequences.map(\.count))
            let tokens = try Tensor.of(sequences.flatMap { $0 }, on: device)
            let loss = try model.loss(tokens, jagged, labels: Tensor.of((0..<20).map { Int64($0 % 3) }))
            try loss.backward()
            let norm = try Tensor.clipGradients(model.parameters.trainable.map(\.tensor), most: nil)
            return try [loss.item(), norm] + model.logits(tokens, jagged).doubles()
        }
        let cpu = try run(.cpu), gpu = try Self.onGPU { try run($0) }
        #expect(zip(gpu, cpu).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test(arguments: [TokenizerConfiguration.Kind.normFormer, .mlp], [LossPositions.real, .released])
    func `tokenizers are the CPU's, with the upkeep of their codebooks`(
        _ kind: TokenizerConfiguration.Kind, _ positions: LossPositions
    ) throws {
        var shape = TokenizerConfiguration()
        (shape.kind, shape.inputs, shape.width, shape.latent, shape.blocks, shape.heads) = (kind, 3, 16, 3, 1, 2)
        (shape.encoderLayers, shape.decoderLayers, shape.codes, shape.replaceFrequency) = ([8], [8], 12, 2)
        var random = Seeded(9)
        let jagged = Jagged(lengths: (0..<30).map { _ in Int.random(in: 1...7, using: &random) })
        let x = (0..<jagged.rows * 3).map { _ in Float.random(in: -1...1, using: &random) }
        func run(_ device: Device) throws -> (numbers: [Double], codes: [Int64], used: [Float]) {
            let tokenizer = try Tokenizer(shape, on: device)
            try Self.fill(tokenizer.parameters)
            let optimizer = try Optimizer(OptimizerConfiguration(.ranger), tokenizer.parameters)
            var numbers: [Double] = []
            let draws = Codebook.Draws(
                first: { _ in 3 }, permutation: { try Tensor.of((0..<$0).map { Int64($0) }.reversed()) },
                noise: { try Tensor.full([$0, $1], 0.5) })
            for _ in 0..<5 {
                let loss = try tokenizer.loss(
                    Tensor.of(x, [jagged.rows, 3], on: device), jagged, positions: positions, padLength: 8)
                numbers += try [loss.total, loss.reconstruction, loss.codebook].map { try $0.item() }
                try loss.total.backward()
                try tokenizer.keepUp(loss, jagged, positions: positions, padLength: 8, draws: draws)
                try optimizer.step(rate: 1e-3, clip: 5)
            }
            let codes = try tokenizer.codes(of: Tensor.of(x, [jagged.rows, 3]), jagged)
            numbers += try tokenizer.features(ofCodes: codes, jagged).doubles()
            let counts = try #require(tokenizer.parameters["model.vqlayer._counts"])
            return (numbers, try codes.integers(), try counts.floats())
        }
        let cpu = try run(.cpu), gpu = try Self.onGPU { try run($0) }
        #expect(zip(gpu.numbers, cpu.numbers).allSatisfy { abs($0 - $1) < 1e-4 * max(1, abs($1)) })
        #expect(gpu.codes == cpu.codes && gpu.used == cpu.used)
    }

    // MARK: trainings

    /// Jets with tokens and labels, of which a third are for validation.
    private static func datasets(
        _ directory: TemporaryDirectory, lastLabel: Int8 = 1
    ) throws -> (jets: String, tokens: String) {
        let jets = directory.file("jets"), tokens = directory.file("tokens"), rows = 90
        let schema = try SourceSchema(
            json: Array(
                """
                {"name": "small", "description": "small", "format": "hdf5", "split": "split", "splits": ["train", "val"], "datasets": [
                 {"path": "p", "type": "float32", "role": "constituent", "columns": [{"name": "x"}, {"name": "y"}]},
                 {"path": "split", "type": "int64", "role": "event", "columns": [{"name": "split"}]},
                 {"path": "label", "type": "int8", "role": "label", "columns": [{"name": "label", "key": true}]}]}
                """.utf8), file: "small")
        let input = InputEntry(name: "x", bytes: 0, headTailDigest: Digest(value: 0), rows: rows, layout: nil)
        let builder = try DatasetBuilder(directory: jets, schema: schema, command: "test", inputs: [input])
        let columns = JetColumns(fields: schema.fields)
        var random = Seeded(4)
        let lengths = (0..<rows).map { _ in Int.random(in: 1...8, using: &random) }, all = lengths.reduce(0, +)
        columns.resize(rows: rows, constituents: all)
        for row in 0...rows { columns.offsetNumbers[row] = Int32(lengths[..<row].reduce(0, +)) }
        for axis in 0..<2 {
            for place in 0..<all {
                columns.fields[axis].elements(Float.self, count: all)[place] = Float.random(in: -1...1, using: &random)
            }
        }
        for row in 0..<rows {
            columns.fields[2].elements(Int64.self, count: rows)[row] = row % 3 == 0 ? 1 : 0
            columns.fields[3].elements(Int8.self, count: rows)[row] = row == rows - 1 ? lastLabel : Int8(row % 2)
        }
        try builder.append(columns)
        _ = try builder.finish()
        let tokenizer = try tokenizer()
        _ = try TokenDatasetWriter(dataset: jets, output: tokens, tokenizer: tokenizer, features: features()).run()
        return (jets, tokens)
    }

    private static func features() throws -> FeatureConfiguration {
        try FeatureConfiguration([Feature("x"), Feature("y")], padLength: 8)
    }

    private static let tokenizerShape: TokenizerConfiguration = {
        var shape = TokenizerConfiguration()
        (shape.inputs, shape.width, shape.latent, shape.blocks, shape.heads, shape.codes) = (2, 16, 3, 1, 2, 12)
        // What these draw could be changed by other suites, and dropout is another one on a GPU.
        (shape.startsFromData, shape.replaceFrequency, shape.dropout) = (false, 0, 0)
        return shape
    }()

    private static func tokenizer() throws -> Tokenizer {
        let tokenizer = try Tokenizer(tokenizerShape)
        try fill(tokenizer.parameters)
        return tokenizer
    }

    /// A run of 8 steps from given weights, with a validation in the middle.
    private static func configuration(
        _ task: TrainingConfiguration.Task, _ directory: TemporaryDirectory, _ data: (jets: String, tokens: String)
    ) throws -> TrainingConfiguration {
        var configuration = TrainingConfiguration(task), description: CheckpointDescription
        let weights: [String: Tensor]
        configuration.data.datasets = [task == .tokenizer ? data.jets : data.tokens]
        (configuration.batch, configuration.part, configuration.epochSteps, configuration.steps) = (32, 9, 4, 8)
        (configuration.logSteps, configuration.validation.limit, configuration.schedule) = (1, nil, .constant())
        (configuration.features, configuration.tokenizer) = (try features(), tokenizerShape)
        configuration.backbone = shape
        switch task {
        case .tokenizer:
            weights = try tokenizer().parameters.named
            description = CheckpointDescription(.tokenizer)
            description.tokenizer = tokenizerShape
        case .pretrain, .classify:
            let model = try GenerativeModel(shape)
            try fill(model.parameters)
            weights = model.parameters.named
            description = CheckpointDescription(.generative)
            description.backbone = shape
        }
        configuration.from = directory.file("\(task.rawValue).safetensors")
        try Checkpoint(description, weights: weights).write(path: configuration.from)
        return configuration
    }

    private static func lines(_ run: String) throws -> [[String: Double]] {
        try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map { line in
            try JSONDecoder().decode([String: Double].self, from: Data(line.utf8))
        }
    }

    @Test(arguments: [TrainingConfiguration.Task.tokenizer, .pretrain])
    func `a training gives the CPU's numbers, and its checkpoints go on on either`(
        _ task: TrainingConfiguration.Task
    ) throws {
        let directory = try TemporaryDirectory(inMemory: true), data = try Self.datasets(directory)
        var configuration = try Self.configuration(task, directory, data)
        var waits: [(step: Int, count: Int64)] = []
        func train(_ name: String, on device: Device) throws -> [String] {
            var remarks: [String] = []
            waits = []
            let trainer = try Trainer(
                configuration, directory: directory.file(name), threads: 1, on: device, remark: { remarks.append($0) })
            trainer.progress = { waits.append(($0.step, standin_waits())) }
            _ = try trainer.train()
            return remarks
        }
        _ = try train("cpu", on: .cpu)
        let before = standin_operations()
        _ = try Self.onGPU { try train("gpu", on: $0) }
        #expect(standin_operations() - before > 500)
        let cpu = try Self.lines(directory.file("cpu")), gpu = try Self.lines(directory.file("gpu"))
        #expect(cpu.count == 10 && gpu.map { $0.keys.sorted() } == cpu.map { $0.keys.sorted() })
        for (ours, theirs) in zip(gpu, cpu) {
            for (name, value) in theirs { #expect(abs((ours[name] ?? 0) - value) <= 1e-4 * abs(value), "\(name)") }
        }
        // A step waits for its norm and for the losses of all its parts; behind step 4 are a validation and a checkpoint.
        let perStep = zip(waits, waits.dropFirst()).filter { $1.step != 5 }.map { $1.count - $0.count }
        #expect(perStep == Array(repeating: 2, count: 6), "the batch has four parts")
        let tensors = try Checkpoint(path: directory.file("gpu") + "/last.safetensors")
        #expect(tensors.description.training?.device == "cuda:0")
        #expect(tensors.weights.values.allSatisfy { $0.device == .cpu })
        // The same step from either checkpoint on either device.
        try FileManager.default.copyItem(atPath: directory.file("gpu"), toPath: directory.file("moved"))
        configuration.steps = 12
        let moved = directory.file("moved"), path = moved + "/last.safetensors"
        var checkpoint = try Checkpoint(path: path)
        checkpoint.description.training?.configuration.steps = 12
        try checkpoint.write(path: path)
        #expect(try train("moved", on: .cpu).contains { $0.contains("was on cuda:0 and is on cpu now") })
        try FileManager.default.removeItem(atPath: moved + "/last.safetensors")
        checkpoint.description.training?.device = nil
        try checkpoint.write(path: path)
        let fromCPU = try Self.lines(moved)
        #expect(
            try Self.onGPU { try train("moved", on: $0) }.contains { $0.contains("was on cpu and is on cuda:0 now") })
        for (ours, theirs) in zip(try Self.lines(moved), fromCPU) {
            for (name, value) in theirs { #expect(abs((ours[name] ?? 0) - value) <= 1e-4 * abs(value), "\(name)") }
        }
    }

    @Test func `what is wrong with the next batch is said when the step before it is done and saved`() throws {
        let directory = try TemporaryDirectory(inMemory: true), data = try Self.datasets(directory, lastLabel: 7)
        var configuration = try Self.configuration(.classify, directory, data), steps: Set<Int> = []
        (configuration.batch, configuration.part, configuration.checkpointSteps) = (30, 30, 1)
        // The jet of class 7 is in the first batch or in the second one.
        for seed in UInt64(1)...6 {
            let run = directory.file("run\(seed)")
            configuration.seed = seed
            let trainer = try Trainer(configuration, directory: run, threads: 1)
            let error = #expect(throws: ModelError.self) { try trainer.train() }
            #expect(error?.message.contains("holds 7") == true)
            let done = (try? Self.lines(run).count) ?? 0
            steps.insert(done)
            if done > 0 { #expect(try Checkpoint(path: run + "/last.safetensors").description.training?.step == done) }
        }
        #expect(steps == [0, 1])
    }

    @Test func `a missing device is refused before anything is made`() throws {
        let directory = try TemporaryDirectory(inMemory: true), data = try Self.datasets(directory)
        let configuration = try Self.configuration(.pretrain, directory, data)
        #expect(throws: TorchError.self) {
            try Trainer(
                configuration, directory: directory.file("run"), threads: 1, on: .cuda(Torch.cudaDevices))
        }
        #expect(!FileManager.default.fileExists(atPath: directory.file("run")))
    }
}

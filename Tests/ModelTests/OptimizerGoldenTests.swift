import Foundation
import Model
import Testing
import Torch

@Suite(.enabled(if: Golden.isThere, Golden.comment), .serialized)
struct OptimizerGoldenTests {
    private static func ranger(_ change: (inout OptimizerConfiguration) -> Void) -> OptimizerConfiguration {
        var settings = OptimizerConfiguration(.ranger)
        settings.rate = 1e-2
        change(&settings)
        return settings
    }

    private static let runs: [(String, OptimizerConfiguration)] = [
        ("adamw", .adamW(rate: 1e-2)), ("ranger_2020_9_4_gc", ranger { _ in }),
        ("ranger_2020_9_4_nogc", ranger { $0.centralises = .nothing }),
        ("ranger_2020_9_4_gc_wd", ranger { $0.decay = 0.1 }),
        (
            "ranger_2020_9_4_gc_after_wd",
            ranger {
                $0.decay = 0.1
                $0.centralises = .updates
            }
        ),
        (
            "ranger_20_4_11_wd",
            ranger {
                $0.decay = 0.1
                $0.decayKind = .decoupled
            }
        ),
        ("ranger_20_4_11_use_gc_false", ranger { _ in }), ("ranger_weaver", ranger { $0.centralises = .nothing }),
        (
            "ranger_weaver_wd",
            ranger {
                $0.centralises = .nothing
                $0.decay = 0.1
                $0.decayKind = .decoupled
            }
        ),
    ]

    @Test func `sequences of steps on given gradients are those of the original optimizers`() throws {
        let golden = try Golden("optimizer_sequences")
        let steps = try golden.integer("steps")
        for (name, configuration) in Self.runs {
            let model = try Given(golden.tensors("param0/"))
            let optimizer = try Optimizer(configuration, model.parameters)
            let gradients = try golden.tensors("grad/"), expected = try golden.tensors("\(name)/")
            #expect(expected.count == model.parameters.entries.count)
            for step in 0..<steps {
                try model.pull(gradients, step)
                try optimizer.step(rate: configuration.rate, clip: nil)
                for (parameter, all) in expected {
                    let ours = try #require(model.parameters[parameter]).detached()
                    let theirs = try all.narrow(0, step, 1).reshape(ours.shape)
                    #expect(try largestDifference(ours, theirs) < 2e-6, "\(name), \(parameter), step \(step + 1)")
                }
            }
        }
    }

    /// Parameters whose gradients are given.
    private struct Given {
        let parameters = Parameters()

        init(_ values: [String: Tensor]) throws {
            for (name, value) in values.sorted(by: { $0.key < $1.key }) { try parameters.add(name, value.clone()) }
        }

        func pull(_ gradients: [String: Tensor], _ step: Int) throws {
            for entry in parameters.trainable {
                let gradient = try #require(gradients[entry.name]).narrow(0, step, 1).reshape(entry.tensor.shape)
                try (entry.tensor * gradient).sum().backward()
            }
        }
    }

    @Test func `steps of RAdam have the factors of the table`() throws {
        let folder = try #require(Golden.folder)
        let rows = try #require(Golden.json("\(folder)/ranger_rectification.json")["rows"] as? [[NSNumber]])
        // With a gradient of 1, no eps to speak of and no slow weights a step is factor · m / √v, or factor · m while v is not used.
        let settings = Self.ranger {
            $0.centralises = .nothing
            $0.eps = 1e-30
            $0.lookahead = 1_000_000
        }
        let model = try Given(["p": Tensor.zeros([1])]), optimizer = try Optimizer(settings, model.parameters)
        let one = ["p": try Tensor.full([rows.count, 1], 1)]
        for row in rows {
            let (step, smooth, factor) = (row[0].intValue, row[1].doubleValue, row[2].doubleValue)
            try Torch.withoutGradients { try #require(model.parameters["p"]).fill(0) }
            try model.pull(one, step - 1)
            try optimizer.step(rate: 1, clip: nil)
            let m = 1 - pow(settings.betas[0], Double(step)), v = 1 - pow(settings.betas[1], Double(step))
            let expected = -factor * (smooth > 5 ? m / v.squareRoot() : m)
            let found = try #require(model.parameters["p"]).item()
            #expect(abs(found / expected - 1) < 2e-5, "step \(step): \(found), expected \(expected)")
        }
    }

    @Test func `schedules are the original's`() throws {
        let folder = try #require(Golden.folder)
        let schedules = try #require(Golden.json("\(folder)/schedules.json")["schedules"] as? [String: [String: Any]])
        for (name, described) in schedules {
            let arguments = described["arguments"] as? [String: NSNumber] ?? [:]
            func number(_ key: String, _ value: Double) -> Double { arguments[key]?.doubleValue ?? value }
            let schedule: Schedule =
                switch described["class"] as? String {
                case "OneCycleCooldown":
                    .oneCycleCooldown(
                        warmup: Int(number("warmup", 0)), cooldown: Int(number("cooldown", 0)),
                        final: Int(number("cooldown_final", 0)),
                        initialRate: number("initial_lr", 0), mostRate: number("max_lr", 0),
                        finalRate: number("final_lr", 1e-6))
                case "ConstantLR": .constant(epochs: Int(number("total_iters", 5)))
                case "CosineWarmupScheduler":
                    .cosineWarmup(warmup: Int(number("warmup", 0)), epochs: Int(number("max_iters", 0)))
                default: .warmup(epochs: Int(number("num_steps", 0)))
                }
            let base = try #require(described["base_lr"] as? NSNumber).doubleValue
            let rates = try #require(described["lr_by_epoch"] as? [NSNumber]).map(\.doubleValue)
            for (epoch, rate) in rates.enumerated() {
                let found = schedule.rate(epoch: epoch, base: base)
                #expect(
                    abs(found - rate) <= 1e-12 * max(abs(rate), 1e-9),
                    "\(name), epoch \(epoch): \(found), expected \(rate)")
            }
        }
    }
}

import Foundation

/// The learning rate of each epoch, counted from 0, as the original's schedules give it.
public enum Schedule: Sendable, Equatable {
    /// A factor for the first epochs, then 1.
    case constant(factor: Double = 1.0 / 3, epochs: Int = 1)
    /// Up, down, down further, all in straight lines; these rates are absolute, and hold for frozen parameters too.
    case oneCycleCooldown(
        warmup: Int, cooldown: Int, final: Int, initialRate: Double, mostRate: Double, finalRate: Double = 1e-6)
    /// A cosine over `epochs`, with a straight begin.
    case cosineWarmup(warmup: Int, epochs: Int)
    /// A straight begin, then constant.
    case warmup(epochs: Int)

    /// The rate of an epoch, for an optimizer's `rate`.
    public func rate(epoch: Int, base: Double) -> Double {
        let e = Double(epoch)
        switch self {
        case .constant(let factor, let epochs): return epoch < epochs ? base * factor : base
        case .oneCycleCooldown(let warmup, let cooldown, let final, let initial, let most, let last):
            if epoch <= warmup { return initial + (most - initial) * (warmup > 0 ? e / Double(warmup) : 1) }
            if epoch <= warmup + cooldown { return most - (most - initial) * (e - Double(warmup)) / Double(cooldown) }
            if epoch <= warmup + cooldown + final {
                return initial - (initial - last) * (e - Double(warmup + cooldown)) / Double(final)
            }
            return last
        case .cosineWarmup(let warmup, let epochs):
            let begin = epoch <= warmup && warmup > 0 ? e / Double(warmup) : 1
            return base * 0.5 * (1 + cos(Double.pi * e / Double(max(1, epochs)))) * begin
        case .warmup(let epochs): return epoch <= epochs && epochs > 0 ? base * e / Double(epochs) : base
        }
    }
}

extension Schedule: Codable {
    private enum Keys: String, CodingKey {
        case kind, factor, epochs, warmup, cooldown, final, initialRate, mostRate, finalRate
    }

    private enum Kind: String, Codable {
        case constant, oneCycleCooldown, cosineWarmup, warmup
    }

    /// Reads `{"kind": "constant", "factor": 0.333, "epochs": 1}` and so on.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Keys.self)
        func number(_ key: Keys) throws -> Int { try values.decode(Int.self, forKey: key) }
        switch try values.decode(Kind.self, forKey: .kind) {
        case .constant:
            self = .constant(
                factor: try values.decodeIfPresent(Double.self, forKey: .factor) ?? 1.0 / 3,
                epochs: try values.decodeIfPresent(Int.self, forKey: .epochs) ?? 1)
        case .oneCycleCooldown:
            self = .oneCycleCooldown(
                warmup: try number(.warmup), cooldown: try number(.cooldown), final: try number(.final),
                initialRate: try values.decode(Double.self, forKey: .initialRate),
                mostRate: try values.decode(Double.self, forKey: .mostRate),
                finalRate: try values.decodeIfPresent(Double.self, forKey: .finalRate) ?? 1e-6)
        case .cosineWarmup: self = .cosineWarmup(warmup: try number(.warmup), epochs: try number(.epochs))
        case .warmup: self = .warmup(epochs: try number(.epochs))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Keys.self)
        switch self {
        case .constant(let factor, let epochs):
            try values.encode(Kind.constant, forKey: .kind)
            try values.encode(factor, forKey: .factor)
            try values.encode(epochs, forKey: .epochs)
        case .oneCycleCooldown(let warmup, let cooldown, let final, let initial, let most, let last):
            try values.encode(Kind.oneCycleCooldown, forKey: .kind)
            for (key, number) in [(Keys.warmup, warmup), (.cooldown, cooldown), (.final, final)] {
                try values.encode(number, forKey: key)
            }
            for (key, rate) in [(Keys.initialRate, initial), (.mostRate, most), (.finalRate, last)] {
                try values.encode(rate, forKey: key)
            }
        case .cosineWarmup(let warmup, let epochs):
            try values.encode(Kind.cosineWarmup, forKey: .kind)
            try values.encode(warmup, forKey: .warmup)
            try values.encode(epochs, forKey: .epochs)
        case .warmup(let epochs):
            try values.encode(Kind.warmup, forKey: .kind)
            try values.encode(epochs, forKey: .epochs)
        }
    }
}

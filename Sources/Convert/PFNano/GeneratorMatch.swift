import Glibc

/// Which generated particle a jet must hold the quarks of (the matching of AspenOpenJets).
///
/// A particle counts as final if it is the first of its code with the bit "last copy" (13) of `statusFlags`. A mother with the number
/// 0 counts as none. Quarks of the W, Z or H, and of tops the b too, must lie within 0.8 of the jet in eta and phi.
public enum GeneratorMatch: String, Codable, Sendable, CaseIterable {
    case top, W, Z, H

    /// The PDG code of the boson whose quarks are looked for.
    private var boson: Int32 {
        switch self {
        case .top, .W: 24
        case .Z: 23
        case .H: 25
        }
    }

    /// The generated particles of an event.
    struct Particles {
        var pdgId: UnsafeBufferPointer<Int32>
        var mother: UnsafeBufferPointer<Int32>
        var statusFlags: UnsafeBufferPointer<Int32>
        var eta: UnsafeBufferPointer<Float>
        var phi: UnsafeBufferPointer<Float>
    }

    /// Where a jet may be: the particles that it must hold.
    struct Target {
        var particles: [(eta: Double, phi: Double)]
    }

    private static let lastCopy: Int32 = 1 << 13
    /// The largest distance of a particle from the jet's axis.
    private static let radius = 0.8

    /// What jets of an event may match.
    func targets(_ event: Particles) -> [Target] {
        guard self == .top else {
            let code = boson
            guard let found = Self.first(event, where: { $0 == code || $0 == 0 &- code }) else { return [] }
            return Self.quarks(event, found).map { [Target(particles: $0)] } ?? []
        }
        // All four must be there, as in the original.
        guard let top = Self.first(event, where: { $0 == 6 }), let antitop = Self.first(event, where: { $0 == -6 }),
            let plus = Self.first(event, where: { $0 == 24 }), let minus = Self.first(event, where: { $0 == -24 })
        else { return [] }
        return [(top, plus), (antitop, minus)].compactMap { top, boson in
            guard let quarks = Self.quarks(event, boson) else { return nil }
            let bottom = event.pdgId.indices.first {
                event.mother[$0] > 0 && Int(event.mother[$0]) == top && event.pdgId[$0].magnitude == 5
            }
            guard let bottom else { return nil }
            return Target(particles: quarks + [Self.place(event, bottom)])
        }
    }

    private static func first(_ event: Particles, where isWanted: (Int32) -> Bool) -> Int? {
        event.pdgId.indices.first { isWanted(event.pdgId[$0]) && event.statusFlags[$0] & lastCopy != 0 }
    }

    private static func place(_ event: Particles, _ index: Int) -> (eta: Double, phi: Double) {
        (Double(event.eta[index]), Double(event.phi[index]))
    }

    /// The first daughter with a positive code and the first with another, if both are quarks.
    private static func quarks(_ event: Particles, _ mother: Int) -> [(eta: Double, phi: Double)]? {
        var plus: Int?, minus: Int?
        for index in event.pdgId.indices
        where event.mother[index] > 0 && Int(event.mother[index]) == mother && event.pdgId[index].magnitude <= 16 {
            if event.pdgId[index] > 0 { plus = plus ?? index } else { minus = minus ?? index }
        }
        guard let plus, let minus, event.pdgId[plus].magnitude <= 5, event.pdgId[minus].magnitude <= 5 else {
            return nil
        }
        return [place(event, plus), place(event, minus)]
    }

    /// Whether a jet holds all particles of a target.
    static func matches(_ targets: [Target], eta: Double, phi: Double) -> Bool {
        targets.contains { target in
            target.particles.allSatisfy { particle in
                let difference = eta - particle.eta
                var turn = phi - particle.phi
                if turn < -Double.pi { turn += 2 * Double.pi }
                if turn > Double.pi { turn -= 2 * Double.pi }
                return (difference * difference + turn * turn).squareRoot() < radius
            }
        }
    }
}

import Foundation
import Loader
import TestSupport
import Testing

/// The slow, obvious statement of the features: one constituent and one feature at a time.
struct FeatureModel {
    let configuration: FeatureConfiguration
    let jets: SampleJets

    func momentum(_ i: Int) -> (x: Double, y: Double, z: Double) {
        if !jets.px.isEmpty { return (Double(jets.px[i]), Double(jets.py[i]), Double(jets.pz[i])) }
        let pt = Double(jets.pt[i]), phi = Double(jets.phi[i])
        return (pt * cos(phi), pt * sin(phi), pt * sinh(Double(jets.eta[i])))
    }

    func axis(_ span: JetSpan) -> JetAxis {
        if !jets.axes.isEmpty { return jets.axes[span.axis] }
        if configuration.axis == .stored {
            return JetAxis(
                pt: Double(jets.jetPt[span.axis]), eta: Double(jets.jetEta[span.axis]),
                phi: Double(jets.jetPhi[span.axis]), energy: .nan)
        }
        var x = 0.0, y = 0.0, z = 0.0, e = 0.0
        for i in span.start..<span.start + span.count {
            let weight = configuration.axis == .puppi ? Double(jets.weight[i]) : 1, p = momentum(i)
            x += weight * p.x
            y += weight * p.y
            z += weight * p.z
            e += weight * Double(jets.energy[i])
        }
        // Not hypot, which makes infinity of NaN and infinity: such an axis is NaN.
        let pt = (x * x + y * y).squareRoot()
        return JetAxis(pt: pt, eta: z == 0 && pt == 0 ? 0 : asinh(z / pt), phi: atan2(y, x), energy: e)
    }

    func raw(_ name: String, _ i: Int, _ axis: JetAxis) -> Double {
        let (x, y, z) = momentum(i), e = Double(jets.energy[i])
        var pt = (x * x + y * y).squareRoot()
        var eta = z == 0 && pt == 0 ? 0 : asinh(z / pt), phi = atan2(y, x)
        if !jets.pt.isEmpty { (pt, eta, phi) = (Double(jets.pt[i]), Double(jets.eta[i]), Double(jets.phi[i])) }
        let etarel = eta - axis.eta
        var phirel = (phi - axis.phi + .pi).truncatingRemainder(dividingBy: 2 * .pi)
        phirel = (phirel < 0 ? phirel + 2 * .pi : phirel) - .pi
        let code = abs(jets.pdgId[i])
        switch name {
        case "part_pt": return pt
        case "part_eta": return eta
        case "part_phi": return phi
        case "part_ptrel": return pt / axis.pt
        case "part_erel": return e / axis.energy
        case "part_etarel": return etarel
        case "part_phirel": return phirel
        case "part_deltaR": return (etarel * etarel + phirel * phirel).squareRoot()
        case "part_energy": return e
        case "part_px": return x
        case "part_py": return y
        case "part_pz": return z
        case "pdgId": return Double(jets.pdgId[i])
        case "part_isChargedHadron": return code == 211 ? 1 : 0
        case "part_isNeutralHadron": return code == 130 || code == 1 ? 1 : 0
        case "part_isPhoton": return code == 22 || code == 2 ? 1 : 0
        case "part_isElectron": return code == 11 ? 1 : 0
        case "part_isMuon": return code == 13 ? 1 : 0
        default:
            Issue.record("the model does not know \(name)")
            return .nan
        }
    }

    /// The rows of one jet that survive, cut to the length; and how near the nearest cut or edge was.
    func rows(_ span: JetSpan) -> (rows: [[Float]], nearest: Double) {
        let all = span.start..<span.start + span.count
        let axis = axis(span)
        var nearest = Double.infinity
        var rows: [[Float]] = []
        for i in all {
            var stays = true
            var row: [Float] = []
            for feature in configuration.features {
                var v = raw(feature.name, i, axis)
                let isRelative = ["part_etarel", "part_phirel", "part_deltaR"].contains(feature.name)
                // So does half a turn, which the last place makes -pi or pi.
                if feature.name == "part_phirel" { nearest = min(nearest, .pi - abs(v)) }
                // On the axis, a difference in the last place is all there is.
                if isRelative, feature.function == .log { nearest = min(nearest, abs(v) * 1e-6) }
                for cut in [feature.largerThan, feature.smallerThan] {
                    if let cut, v != cut { nearest = min(nearest, abs(v - cut)) }
                }
                if let cut = feature.largerThan, !(v > cut) { stays = false }
                if let cut = feature.smallerThan, !(v < cut) { stays = false }
                if feature.function == .log { v = log(v) }
                if let binning = feature.binning {
                    var edges: [Double] = []
                    switch binning {
                    case .edges(let given): edges = given
                    case .uniform(let start, let stop, let count):
                        edges = (0..<count).map { start + (stop - start) * Double($0) / Double(count - 1) }
                    }
                    nearest = min(nearest, edges.map { abs(v - $0) }.filter { $0 > 0 || isRelative }.min() ?? .infinity)
                    if !v.isNaN {
                        v = min(max(v, edges[0]), edges[edges.count - 1])
                        let bin = min(edges.lastIndex { $0 <= v } ?? 0, edges.count - 2)
                        v = (edges[bin] + edges[bin + 1]) / 2
                    }
                }
                if let low = feature.clipMin, v < low { v = low }
                if let high = feature.clipMax, v > high { v = high }
                row.append(Float((v - feature.subtractBy) * feature.multiplyBy))
            }
            if stays { rows.append(row) }
        }
        return (Array(rows.prefix(configuration.padLength)), nearest)
    }
}

/// Random jets of all sizes; some constituents are not finite, along the beam, or nothing at all.
func randomJets(_ random: inout Seeded, strange: Bool) -> SampleJets {
    var jets = SampleJets()
    let codes: [Float] = [211, -211, 130, 1, 22, 2, 11, -11, 13, -13, 0, 321]
    for _ in 0..<40 {
        let count = [0, 1, 2, 7, 8, 9, 55, 130, 255, 256, 257, 600].randomElement(using: &random) ?? 0
        let eta = Double.random(in: -3...3, using: &random), phi = Double.random(in: -4...4, using: &random)
        var columns = [[Float]](repeating: [], count: 5)
        for _ in 0..<count {
            let pt = exp(Double.random(in: -4...5, using: &random))
            let a = phi + Double.random(in: -1...1, using: &random), b = eta + Double.random(in: -1...1, using: &random)
            var momentum = [Float(pt * cos(a)), Float(pt * sin(a)), Float(pt * sinh(b)), Float(pt * cosh(b))]
            if strange, Int.random(in: 0..<300, using: &random) == 0 {
                let odd: [Float] = [
                    .nan, .infinity, -.infinity, 0, -0.0, 1e38, -.leastNonzeroMagnitude, .leastNormalMagnitude / 4,
                ]
                momentum[Int.random(in: 0..<4, using: &random)] = odd.randomElement(using: &random) ?? 0
            }
            if strange, Int.random(in: 0..<100, using: &random) == 0 { (momentum[0], momentum[1]) = (0, 0) }
            if strange, Int.random(in: 0..<200, using: &random) == 0 { momentum = [0, -0.0, 0, 0] }
            for (column, value) in momentum.enumerated() { columns[column].append(value) }
            columns[4].append(codes.randomElement(using: &random) ?? 0)
        }
        jets.append(columns)
    }
    return jets
}

/// Random jets of pt, eta and phi, with given axes, weights and stored jets; azimuths of all turns, and what is no number.
func randomAngularJets(_ random: inout Seeded, strange: Bool, momenta: Bool) -> SampleJets {
    var jets = randomJets(&random, strange: strange)
    for span in jets.spans {
        let turns = strange && Int.random(in: 0..<4, using: &random) == 0 ? 3.0 : 0
        let phi = Double.random(in: -3.14...3.14, using: &random), eta = Double.random(in: -3...3, using: &random)
        jets.axes.append(
            JetAxis(
                pt: .random(in: 100...1000, using: &random), eta: eta,
                phi: phi + turns * 2 * .pi, energy: .random(in: 100...5000, using: &random)))
        if strange, Int.random(in: 0..<30, using: &random) == 0 { jets.axes[span.axis].phi = .infinity }
        jets.jetPt.append(Float(jets.axes[span.axis].pt))
        jets.jetEta.append(Float(jets.axes[span.axis].eta))
        jets.jetPhi.append(Float(jets.axes[span.axis].phi))
        for _ in 0..<span.count {
            var angles = [
                Float(exp(Double.random(in: -4...5, using: &random))),
                Float(eta + .random(in: -1...1, using: &random)),
                Float(remainder(phi + .random(in: -1...1, using: &random), 2 * .pi)),
            ]
            if strange, Int.random(in: 0..<100, using: &random) == 0 {
                let odd: [Float] = [
                    .nan, .infinity, -.infinity, 0, -0.0, 30, -8, -.leastNonzeroMagnitude, .leastNormalMagnitude / 4,
                ]
                angles[Int.random(in: 0..<3, using: &random)] = odd.randomElement(using: &random) ?? 0
            }
            jets.pt.append(angles[0])
            jets.eta.append(angles[1])
            jets.phi.append(angles[2])
            jets.weight.append(Bool.random(using: &random) ? 1 : .random(in: 0...1, using: &random))
        }
    }
    if !momenta { (jets.px, jets.py, jets.pz) = ([], [], []) }
    return jets
}

/// Any features with any operations.
func randomConfiguration(
    _ random: inout Seeded, axis: JetAxisDefinition = .constituents
) throws -> FeatureConfiguration {
    func chance() -> Bool { Int.random(in: 0..<3, using: &random) == 0 }
    var features: [Feature] = []
    for name in (FeatureAssembler.knownNames + ["pdgId"]).shuffled(using: &random).prefix(5)
    where axis != .stored || name != "part_erel" {
        var feature = Feature(name, function: chance() ? .log : .identity)
        if chance() { feature.largerThan = .random(in: -1...0.5, using: &random) }
        if chance() { feature.smallerThan = .random(in: 0.3...3, using: &random) }
        if chance() { feature.clipMin = .random(in: -2...0, using: &random) }
        if chance() { feature.clipMax = .random(in: 0...2, using: &random) }
        if chance() { feature.binning = .uniform(start: -1, stop: 2, edges: Int.random(in: 2...40, using: &random)) }
        if chance() { feature.binning = .edges([-0.5, 0, 0.25, 4]) }
        feature.subtractBy = .random(in: -2...2, using: &random)
        feature.multiplyBy = .random(in: 0.1...3, using: &random)
        features.append(feature)
    }
    return try FeatureConfiguration(
        features, padLength: [1, 40, 128, 700].randomElement(using: &random) ?? 1, axis: axis)
}

func agree(_ a: Float, _ b: Float) -> Bool {
    a == b || (a.isNaN && b.isNaN) || abs(a - b) <= 1e-6 * max(1, abs(a))
}

/// Compares a padded and a jagged batch with the definitions. Rounding may differ in the last place.
func compare(
    _ jets: SampleJets, _ assembler: FeatureAssembler, _ padded: (values: [Float], mask: [UInt8]),
    _ jagged: (values: [Float], offsets: [Int32]), _ place: String
) throws {
    let configuration = assembler.configuration
    let model = FeatureModel(configuration: configuration, jets: jets)
    let width = configuration.features.count, length = configuration.padLength
    for (number, span) in jets.spans.enumerated() {
        let (rows, nearest) = model.rows(span)
        // A value so near a cut may fall on either side: libm and the kernel differ in the last place.
        if nearest < 1e-12 { continue }
        let place = "\(place), jet \(number), \(configuration.features.map(\.name))"
        let mask = padded.mask[number * length..<(number + 1) * length]
        try #require(Array(mask) == (0..<length).map { $0 < rows.count ? 1 : 0 }, "\(place)")
        let start = Int(jagged.offsets[number])
        try #require(Int(jagged.offsets[number + 1]) - start == rows.count, "\(place)")
        for slot in 0..<length {
            for column in 0..<width {
                let value = padded.values[(number * length + slot) * width + column]
                let expected = slot < rows.count ? rows[slot][column] : 0
                try #require(agree(expected, value), "\(place), slot \(slot), column \(column)")
                if slot < rows.count {
                    let other = jagged.values[(start + slot) * width + column]
                    try #require(other.bitPattern == value.bitPattern, "\(place), slot \(slot)")
                }
            }
        }
    }
}

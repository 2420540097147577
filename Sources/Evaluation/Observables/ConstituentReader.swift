import Kernels
import Loader
import Shards

/// How momenta and types of constituents are read from a dataset, whatever its columns are called: as features of the loader.
struct ConstituentReader: Sendable {
    /// The features: four of the momentum, then five flags of types, then others that have cuts.
    let configuration: FeatureConfiguration
    /// Whether the momentum is pt, eta, phi; else px, py, pz, E.
    let isAngular: Bool
    /// Numbers of the momentum: 3 or 4.
    private let momentumWidth: Int
    /// Whether there are flags of types.
    private let hasTypes: Bool

    /// Flags in the order of `ConstituentType`.
    private static let flags = [
        "part_isChargedHadron", "part_isNeutralHadron", "part_isPhoton", "part_isElectron", "part_isMuon",
    ]

    /// - Throws: What opening the dataset throws.
    init(dataset: String, view: JetSample.View) throws {
        let fields = try Dataset.readCatalogue(dataset).encoding.fields.filter { $0.role == .constituent }.map(\.name)
        hasTypes = fields.contains("pdgId") || Self.flags.allSatisfy(fields.contains)
        var features: [Feature], padLength = JetObserver.mostConstituents + 1
        var axis = JetAxisDefinition.constituents
        switch view {
        case .stored:
            features = ["part_px", "part_py", "part_pz", "part_energy"].map { Feature($0) }
            isAngular = false
        case .tokenizer(let configuration):
            let momentum = ["part_pt", "part_etarel", "part_phirel"]
            features = momentum.map { Feature($0) }
            for feature in configuration.features where feature.largerThan != nil || feature.smallerThan != nil {
                let names = [feature.name, "part_" + feature.name, Self.longNames[feature.name] ?? ""]
                if let own = features.firstIndex(where: { names.contains($0.name) }) {
                    features[own].largerThan = feature.largerThan
                    features[own].smallerThan = feature.smallerThan
                } else {
                    features.append(
                        Feature(feature.name, largerThan: feature.largerThan, smallerThan: feature.smallerThan))
                }
            }
            (padLength, axis, isAngular) = (configuration.padLength, configuration.axis, true)
        }
        momentumWidth = isAngular ? 3 : 4
        if hasTypes {
            for flag in Self.flags.reversed() {
                let cut = features.firstIndex { $0.name == flag }
                features.insert(cut.map { features.remove(at: $0) } ?? Feature(flag), at: momentumWidth)
            }
        }
        configuration = try FeatureConfiguration(features, padLength: padLength, axis: axis)
    }

    private static let longNames = ["eta_rel": "part_etarel", "phi_rel": "part_phirel"]

    /// Fills the constituents of jet `row` of a batch into an observer, and gives their types.
    func fill(
        _ observer: JetObserver, from batch: Batch, row: Int, types: inout [UInt8], scratch: inout [Double]
    ) throws(ObservableError) {
        let offsets = batch.featureOffsets, width = configuration.features.count
        let from = Int(offsets[row]), count = Int(offsets[row + 1]) - from
        try observer.reserve(count)
        let values = batch.features, o = observer.clusters.objects
        types.removeAll(keepingCapacity: true)
        for index in 0..<count {
            let at = (from + index) * width
            if hasTypes {
                var type = UInt8(5)
                for flag in 0..<5 where values[at + momentumWidth + flag] != 0 {
                    type = UInt8(flag)
                    break
                }
                types.append(type)
            } else {
                types.append(5)
            }
            guard !isAngular else { continue }
            o.px[index] = Double(values[at])
            o.py[index] = Double(values[at + 1])
            o.pz[index] = Double(values[at + 2])
            o.energy[index] = Double(values[at + 3])
        }
        guard isAngular, count > 0 else { return }
        if scratch.count < 3 * count { scratch = Array(repeating: 0, count: 6 * count) }
        for index in 0..<count {
            let at = (from + index) * width
            for part in 0..<3 { scratch[part * count + index] = Double(values[at + part]) }
        }
        scratch.withUnsafeBufferPointer { column in
            guard let base = column.baseAddress else { return }
            pando_massless(count, base, base + count, base + 2 * count, o.px, o.py, o.pz, o.energy)
        }
    }
}

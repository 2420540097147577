import Shards

extension SourceSchema {
    /// Which columns make a four-momentum that may follow from angles, and which flags may be folded into one code.
    public struct Forward: Codable, Sendable, Equatable {
        /// Columns px, py, pz, E: float32 of constituents.
        public var momentum: [String]
        /// Columns deta and dphi, relative to the axis of the jet; deta is mirrored where the jet's eta is not positive.
        public var angles: [String]
        /// Jet columns eta, phi.
        public var axis: [String]
        /// Five int32 columns of which one is 1, in the order of the codes: charged hadron, neutral hadron, photon, electron,
        /// muon.
        public var flags: [String]
        /// Masses that energies were made with, by code; 5 is none of the flags.
        public var masses: [PidMass]

        func check(
            _ schema: SourceSchema, _ types: [String: (ElementType, ColumnRole)],
            _ fault: (String, String) -> ConvertError
        ) throws {
            guard schema.momenta == nil else {
                throw fault("forward", "stands beside 'momenta': there can be one of them")
            }
            guard momentum.count == 4, angles.count == 2, axis.count == 2, flags.count == 5 else {
                throw fault(
                    "forward",
                    "needs four columns in 'momentum', two in 'angles', two in 'axis' and five in 'flags'")
            }
            guard Set(momentum + angles + axis + flags).count == 13 else {
                throw fault("forward", "names a column twice")
            }
            for name in momentum + angles where types[name].map({ $0 != (.float32, .constituent) }) ?? true {
                throw fault("forward", "names '\(name)', which is no float32 column of constituents")
            }
            for name in flags where types[name].map({ $0 != (.int32, .constituent) }) ?? true {
                throw fault("forward.flags", "names '\(name)', which is no int32 column of constituents")
            }
            for name in axis where types[name].map({ $0.0 != .float32 || $0.1 == .constituent }) ?? true {
                throw fault("forward", "names '\(name)', which is no float32 column of jets")
            }
            for name in momentum + angles where schema.column(name)?.narrow != nil {
                throw fault(
                    "forward", "names '\(name)', which is to be narrowed: the momenta follow from exact numbers")
            }
            guard Set(masses.map(\.pid)).count == masses.count,
                masses.allSatisfy({ (0...5).contains($0.pid) && $0.mass.isFinite && $0.mass >= 0 })
            else {
                throw fault(
                    "forward.masses", "has a code twice or beyond 0...5, or a mass that is negative or not finite")
            }
        }
    }
}

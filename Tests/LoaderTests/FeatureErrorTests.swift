import Foundation
import Loader
import TestSupport
import Testing

/// Configurations that make no sense, and what their error must say.
private let failures: [(json: String, says: String)] = [
    ("[]", "empty"),
    ("{}", "empty"),
    ("3", "a number, expected an array or an object"),
    ("[{\"name\": \"part_pt\"}", "expected ']'"),
    ("[{\"name\": \"part_pt\"}] x", "more text"),
    ("[{\"func\": \"log\"}]", "no name"),
    ("[null]", "null, expected an object"),
    ("{\"part_pt\": {\"func\": \"np.log\"}}", "no inv_func"),
    ("{\"part_pt\": {\"inv_func\": \"np.exp\"}}", "no func"),
    ("{\"part_pt\": {\"func\": \"np.sqrt\", \"inv_func\": \"np.square\"}}", "known is log"),
    ("{\"part_pt\": {\"clip_min\": 2, \"clip_max\": 1}}", "clip_min 2.0 is larger than clip_max 1.0"),
    ("{\"part_pt\": {\"clip_mim\": 2}}", "unknown key \"clip_mim\"; known are func"),
    ("{\"part_pt\": {\"clip_min\": \"2\"}}", "clip_min is a string, expected a number"),
    ("{\"part_pt\": {\"clip_min\": nan}}", "'nan' is no value"),
    ("{\"part_pt\": {\"multiply_by\": 0}}", "no inverse"),
    ("{\"part_pt\": {\"binning\": [0, 1]}}", "start, stop and the number"),
    ("{\"part_pt\": {\"binning\": [0, 1, 1]}}", "two or more"),
    ("{\"part_pt\": {\"binning\": [1, 0, 5]}}", "two or more"),
    ("{\"part_pt\": {\"binning\": [0, 1, 1e12]}}", "too many"),
    ("{\"part_pt\": {\"bin_edges\": [0, 1, 1]}}", "two or more"),
    ("{\"part_pt\": {\"bin_edges\": [0, 1], \"binning\": [0, 1, 3]}}", "both"),
    ("{\"part_pt\": null, \"part_pt\": null}", "twice"),
    ("[{\"name\": \"part_pt\"}, {\"name\": \"part_pt\"}]", "twice"),
    ("{\"features\": [{\"name\": \"part_pt\"}], \"pad_length\": 0}", "is 0"),
    ("{\"features\": [{\"name\": \"part_pt\"}], \"pad_length\": 1.5}", "whole number"),
    ("{\"features\": [{\"name\": \"part_pt\"}], \"pad\": 5}", "pad_length"),
    ("{\"features\": [{\"name\": \"part_pt\"}], \"pad_length\": \"5\"}", "a string, expected a whole number"),
    (
        "{\"features\": [{\"name\": \"part_pt\"}], \"axis\": \"beam\"}",
        "is \"beam\", expected constituents, puppi, stored"
    ),
    ("{\"features\": [{\"name\": \"part_pt\"}], \"axis\": 3}", "a number, expected a string"),
    (String(repeating: "[", count: 100_000), "too deep"),
]

@Suite struct FeatureErrorTests {
    @Test(arguments: failures.indices)
    func `a configuration that makes no sense says why`(row: Int) throws {
        let (json, says) = failures[row]
        let error = try #require(throws: LoaderError.self) { try FeatureConfiguration(json: json) }
        #expect(error.code == .feature)
        #expect(error.description.contains(says), "\(error)")
    }

    @Test func `an unknown feature is answered with the known ones`() throws {
        let configuration = try FeatureConfiguration([Feature("part_ptt")])
        let error = try #require(throws: LoaderError.self) {
            try FeatureAssembler(configuration, storedFields: ["d0"])
        }
        #expect(error.code == .feature)
        #expect(error.description.hasPrefix("feature part_ptt: there is no such feature; known are part_pt, part_eta"))
        #expect(error.description.hasSuffix(", d0"))
        // Types of particles need the codes.
        #expect(throws: LoaderError.self) { try FeatureAssembler(FeatureConfiguration([Feature("part_isMuon")])) }
    }

    @Test func `missing columns are named`() throws {
        let assembler = try FeatureAssembler(
            FeatureConfiguration([Feature("part_etarel"), Feature("d0")]), storedFields: ["d0"])
        #expect(assembler.fields == ["d0"] && assembler.needs == [.momenta, .axis])
        var values: [Float] = [], mask: [UInt8] = []
        let error = try #require(throws: LoaderError.self) {
            try assembler.assemble(FeatureInput(), jets: [], values: &values, mask: &mask)
        }
        for name in ["px, py, pz", "energy", "d0"] { #expect(error.description.contains(name)) }
    }

    @Test func `names have short forms, and stored fields are features`() throws {
        let configuration = try FeatureConfiguration(
            ["pt", "eta_rel", "phi_rel", "energy", "d0", "part_dz"].map { Feature($0) })
        let assembler = try FeatureAssembler(configuration, storedFields: ["px", "d0", "dz"])
        #expect(assembler.fields == ["d0", "dz"])
        #expect(assembler.needs == [.momenta, .energy, .axis])
    }

    @Test func `a configuration survives being written, and the order of JSON objects counts`() throws {
        let json = """
            {"features": {"part_z": {"binning": [-1, 1, 5]}, "part_b": {}, "part_a": {"func": "np.log",
            "inv_func": "np.exp", "larger_than": -0.1, "smaller_than": 2e1, "clip_min": 0, "clip_max": 1,
            "subtract_by": 0.1, "multiply_by": 3}, "part_c": {"bin_edges": [0, 0.1, 3]}, "part_d": null},
            "pad_length": 77, "axis": "puppi"}
            """
        let configuration = try FeatureConfiguration(json: json)
        #expect(configuration.features.map(\.name) == ["part_z", "part_b", "part_a", "part_c", "part_d"])
        #expect(configuration.axis == .puppi)
        let written = try JSONEncoder().encode(configuration)
        #expect(try JSONDecoder().decode(FeatureConfiguration.self, from: written) == configuration)
        #expect(try FeatureConfiguration(json: String(decoding: written, as: UTF8.self)) == configuration)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(FeatureConfiguration.self, from: Data(json.utf8))
        }
        let released = try JSONEncoder().encode(FeatureConfiguration.released)
        #expect(try JSONDecoder().decode(FeatureConfiguration.self, from: released) == .released)
    }

    @Test func `the axis says what is needed`() throws {
        let features = [Feature("eta_rel"), Feature("pt_rel")]
        let puppi = try FeatureAssembler(FeatureConfiguration(features, axis: .puppi))
        #expect(puppi.needs == [.momenta, .axis, .puppiWeight])
        let stored = try FeatureAssembler(FeatureConfiguration(features, axis: .stored))
        #expect(stored.needs == [.momenta, .axis, .storedAxis])
        #expect(try FeatureAssembler(FeatureConfiguration([Feature("pt")], axis: .puppi)).needs == .momenta)
        let error = try #require(throws: LoaderError.self) {
            try FeatureAssembler(FeatureConfiguration([Feature("e_rel")], axis: .stored))
        }
        #expect(error.description.contains("no energy"))

        var jets = SampleJets()
        jets.append([[1], [1], [1], [2]])
        for (assembler, name) in [(puppi, "puppiWeight"), (stored, "jet_pt, jet_eta, jet_phi")] {
            let error = try #require(throws: LoaderError.self) { try jets.batch(assembler) }
            #expect(error.description.contains("columns are missing: \(name)"), "\(error)")
        }
    }

    @Test func `offsets and slots that make no sense are refused`() throws {
        var jets = SampleJets()
        jets.append([[1, 1], [1, 1], [1, 1], [2, 2]])
        let assembler = try FeatureAssembler(FeatureConfiguration([Feature("pt")], padLength: 1))
        let cases: [(rows: Int, offsets: [Int32], slots: [Int32], first: Int32, says: String)] = [
            (-1, [0], [0], 0, "rows"), (1, [-1, 1], [0], 0, "offsets"), (1, [.max, .min], [0], 0, "offsets"),
            (2, [0, 2, 1], [0, 0], 0, "offsets"),
            (1, [0, 1], [-1], 0, "slots"), (1, [0, 1], [0], -1, "output offsets"),
            (1, [0, 2], [0], .max - 1, "output"),
        ]
        for (rows, offsets, slots, first, says) in cases {
            var values: [Float] = [0], mask: [UInt8] = [0], ends = [first, 0, 0]
            let error = try #require(throws: LoaderError.self) {
                try jets.withInput { input in
                    if first == 0 {
                        try assembler.assemble(
                            input, rows: rows, offsets: offsets, slots: slots, values: &values, mask: &mask)
                    } else {
                        try assembler.assembleJagged(
                            input, rows: rows, offsets: offsets, values: &values, outputOffsets: &ends)
                    }
                }
            }
            #expect(error.place.hasPrefix(says), "\(error)")
        }
    }
}

import Foundation
import Kernels
import Loader
import TestSupport
import Testing

@Suite struct FeatureJetTests {
    @Test func `features of jets are what the definitions say`() throws {
        let json = """
            {"features": [{"name": "pt"}], "jet_features": {"jet_pt": {"func": "log", "inv_func": "exp", "subtract_by": 6},
            "nPF": {"clip_max": 100, "multiply_by": 0.01}, "event": null, "jet_msoftdrop": {"binning": [0, 100, 11]}}}
            """
        let configuration = try FeatureConfiguration(json: json)
        let again = try JSONDecoder().decode(FeatureConfiguration.self, from: JSONEncoder().encode(configuration))
        #expect(again == configuration && configuration.jetFeatures.map(\.name).count == 4)
        let assembler = try FeatureAssembler(
            configuration, jetFields: ["event", "jet_msoftdrop", "nPF", "other", "jet_pt"])
        #expect(assembler.jetFields == ["jet_pt", "nPF", "event", "jet_msoftdrop"])
        let rows = 150
        var random = Seeded(4)
        let pt = (0..<rows).map { _ in Float.random(in: 100...900, using: &random) }
        let count = (0..<rows).map { _ in UInt16.random(in: 1...150, using: &random) }
        let event = (0..<rows).map { _ in Int64.random(in: 0...(1 << 40), using: &random) }
        let mass = (0..<rows).map { $0 == 7 ? Float.nan : Float.random(in: -10...120, using: &random) }
        let slots = (0..<Int32(rows)).shuffled(using: &random)
        try pt.withUnsafeBufferPointer { pt in
            try count.withUnsafeBufferPointer { count in
                try event.withUnsafeBufferPointer { event in
                    try mass.withUnsafeBufferPointer { mass in
                        let columns: [JetColumn] = [
                            .float32(try #require(pt.baseAddress)), .uint16(try #require(count.baseAddress)),
                            .int64(try #require(event.baseAddress)), .float32(try #require(mass.baseAddress)),
                        ]
                        var values = [Float](repeating: -7, count: rows * 4), scattered = values
                        try assembler.assembleJets(columns, rows: rows, values: &values)
                        try assembler.assembleJets(columns, rows: rows, slots: slots, values: &scattered)
                        for row in 0..<rows {
                            let bin = (min(max(Double(mass[row]), 0), 99.99) / 10).rounded(.down) * 10 + 5
                            let found = Array(values[row * 4..<row * 4 + 4])
                            #expect(abs(found[0] - Float(log(Double(pt[row])) - 6)) < 1e-6)
                            #expect(found[1] == Float(Double(min(count[row], 100)) * 0.01))
                            #expect(found[2] == Float(event[row]))
                            #expect(row == 7 ? found[3].isNaN : found[3] == Float(bin))
                            let slot = Int(slots[row])
                            #expect(
                                scattered[slot * 4..<slot * 4 + 4].map(\.bitPattern) == found.map(\.bitPattern))
                        }
                    }
                }
            }
        }
    }

    @Test func `every type of integer is read`() throws {
        let assembler = try FeatureAssembler(
            FeatureConfiguration([Feature("pt")], jetFeatures: [Feature("x", subtractBy: 1)]), jetFields: ["x"])
        func check<T>(_ value: T, _ wrap: (UnsafePointer<T>) -> JetColumn, _ expected: Float) throws {
            var result: Float = 0
            try withUnsafePointer(to: value) {
                try assembler.assembleJets(CollectionOfOne(wrap($0)), rows: 1, values: &result)
            }
            #expect(result == expected)
        }
        try check(Int8.min, JetColumn.int8, -129)
        try check(UInt8.max, JetColumn.uint8, 254)
        try check(Int16.min, JetColumn.int16, -32769)
        try check(UInt16.max, JetColumn.uint16, 65534)
        // As doubles, these keep their last digit until the subtraction.
        try check(Int32(16_777_218), JetColumn.int32, 16_777_216)
        try check(UInt32(16_777_218), JetColumn.uint32, 16_777_216)
        try check(Int64(16_777_218), JetColumn.int64, 16_777_216)
        try check(UInt64(16_777_218), JetColumn.uint64, 16_777_216)
    }

    @Test func `features of jets without field, with cuts or twice are refused`() throws {
        let features = [Feature("pt")]
        for (list, says) in [
            ([Feature("x", largerThan: 1)], "has a cut"), ([Feature("x", smallerThan: 1)], "has a cut"),
            ([Feature("x"), Feature("x")], "comes twice"), ([Feature("x", multiplyBy: 0)], "no inverse"),
        ] {
            let error = try #require(throws: LoaderError.self) {
                try FeatureConfiguration(features, jetFeatures: list)
            }
            #expect(error.description.contains(says))
        }
        let configuration = try FeatureConfiguration(features, jetFeatures: [Feature("x")])
        let error = try #require(throws: LoaderError.self) {
            try FeatureAssembler(configuration, jetFields: ["y", "z"])
        }
        #expect(error.description.hasPrefix("jet feature x: there is no such field of jets; known are y, z"))
        var value: Float = 0
        #expect(throws: LoaderError.self) {
            try FeatureAssembler(configuration, jetFields: ["x"]).assembleJets([], rows: 1, values: &value)
        }
    }
}

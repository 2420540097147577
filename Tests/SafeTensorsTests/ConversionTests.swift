import SafeTensors
import Support
import TestSupport
import Testing

@Suite struct ConversionTests {
    private func file(_ type: TensorType, _ bytes: [UInt8]) throws -> SafeTensorsFile {
        let json =
            #"{"x":{"dtype":"\#(type.rawValue)","shape":[\#(bytes.count / type.size)],"data_offsets":[0,\#(bytes.count)]}}"#
        // An odd length of the header, so that nothing is aligned.
        return try SafeTensorsFile(bytes: tensorFile(json.count % 2 == 0 ? json + " " : json, bytes))
    }

    @Test("All 65,536 half-precision numbers become the floats that Float16 makes of them")
    func halves() throws {
        let bits = (0...UInt16.max).map { $0 }
        let found = try file(.f16, bits.flatMap { littleEndian($0) }).floats("x")
        #if arch(arm64) || arch(x86_64)
            for (bits, value) in zip(bits, found) {
                let wanted = Float(Float16(bitPattern: bits))
                if wanted.isNaN {
                    #expect(value.isNaN, "bits \(bits)")
                } else {
                    #expect(value.bitPattern == wanted.bitPattern, "bits \(bits): \(value), expected \(wanted)")
                }
            }
        #endif
        #expect(found[0x3c00] == 1)
        #expect(found[0x0001] == 0x1p-24)
        #expect(found[0xfbff] == -65504)
    }

    @Test("All 65,536 bfloat16 are the upper halves of floats")
    func brains() throws {
        let bits = (0...UInt16.max).map { $0 }, bytes = bits.flatMap { littleEndian($0) }
        let found = try file(.bf16, bytes).floats("x")
        #expect(found.map { UInt16($0.bitPattern >> 16) } == bits)
        #expect(found.allSatisfy { $0.bitPattern & 0xffff == 0 })
        #expect(try file(.bf16, bytes).doubles("x").filter { !$0.isNaN } == found.filter { !$0.isNaN }.map(Double.init))
    }

    @Test("Every type converts to every other where the numbers are there")
    func everyPair() throws {
        let numbers: [TensorType: [UInt8]] = [
            .f64: [0, 1, 5].flatMap { littleEndian(Double($0).bitPattern) },
            .f32: [0, 1, 5].flatMap { littleEndian(Float($0).bitPattern) },
            .f16: [0, 0x3c00, 0x4500].flatMap { littleEndian(UInt16($0)) },
            .bf16: [0, 0x3f80, 0x40a0].flatMap { littleEndian(UInt16($0)) },
            .i64: [0, 1, 5].flatMap { littleEndian(Int64($0)) },
            .i32: [0, 1, 5].flatMap { littleEndian(Int32($0)) },
            .i16: [0, 1, 5].flatMap { littleEndian(Int16($0)) },
            .i8: [0, 1, 5], .u8: [0, 1, 5], .bool: [0, 1, 1],
        ]
        for type in TensorType.allCases {
            let file = try file(type, try #require(numbers[type]))
            let wanted = type == .bool ? [0, 1, 1] : [0, 1, 5]
            #expect(try file.floats("x") == wanted.map(Float.init), "\(type)")
            #expect(try file.doubles("x") == wanted.map(Double.init), "\(type)")
            #expect(try file.int64s("x") == wanted.map(Int64.init), "\(type)")
            #expect(try file.uint8s("x") == wanted.map(UInt8.init), "\(type)")
        }
    }

    @Test("A number without exact counterpart is an error that names the element, never a rounded one")
    func refusals() throws {
        let tenth = try file(.f64, littleEndian(Double(1).bitPattern) + littleEndian(0.1.bitPattern))
        let error = failure { _ = try tenth.floats("x") }
        #expect(error?.code == .conversion)
        #expect(error?.place == "tensor x, element 1")
        #expect(try tenth.doubles("x") == [1, 0.1])
        let odd = Int64(1) << 53 + 1
        #expect(code { _ = try file(.i64, littleEndian(odd)).doubles("x") } == .conversion)
        #expect(try file(.i64, littleEndian(odd)).int64s("x") == [odd])
        #expect(code { _ = try file(.i32, littleEndian(Int32(1) << 24 + 1)).floats("x") } == .conversion)
        #expect(code { _ = try file(.i16, littleEndian(Int16(256))).uint8s("x") } == .conversion)
        #expect(code { _ = try file(.i8, [0xff]).uint8s("x") } == .conversion)
        #expect(code { _ = try file(.f32, littleEndian(Float(0.5).bitPattern)).int64s("x") } == .conversion)
        #expect(code { _ = try file(.f32, littleEndian(Float.nan.bitPattern)).int64s("x") } == .conversion)
        #expect(code { _ = try file(.f16, littleEndian(UInt16(0x3800))).int64s("x") } == .conversion)
        #expect(try file(.f64, littleEndian(Double.nan.bitPattern)).floats("x")[0].isNaN)
        #expect(try file(.f64, littleEndian((-Double.infinity).bitPattern)).floats("x") == [-.infinity])
        #expect(code { _ = try file(.f64, littleEndian(1e300.bitPattern)).floats("x") } == .conversion)
    }
}

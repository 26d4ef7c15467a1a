// Arrays and ADCs of a group, as behaviour: the black box of its periphery. In the cycle in which `convert` is high, each ADC
// answers with the sum of what its column `index` holds, each cell times what drives its row, clipped to its range.
module mho_arrays(input clk, input [15:0] block, input [{top[drive]}:0] drive, input [{top[negative]}:0] negative,
                  input convert, input [{top[index]}:0] index, output reg [{top[codes]}:0] codes);
  // Block after block, array after array, row after row: what a row adds to each conversion of its array.
  reg signed [{cell_top}:0] cells [0:{cells_last}];
  initial $readmemh("cells.hex", cells);
  integer a, adc, row, number;
  reg signed [31:0] sum, x;
  always @(negedge clk) if (convert) begin
    for (a = 0; a < {plan.arrays}; a = a + 1) for (adc = 0; adc < {plan.adcs}; adc = adc + 1) begin
      number = adc * {plan.per_adc} + index;
      sum = 0;
      if (number < {plan.conversions}) for (row = 0; row < {plan.rows}; row = row + 1) begin
        x = {{1'b0, drive[row*{plan.drive_bits} +: {plan.drive_bits}]}};
        if ({signs} && negative[{signs} ? row : 0]) x = -x;
        sum = sum + x * cells[((block * {plan.arrays} + a) * {plan.rows} + row) * {plan.conversions} + number];
      end
      if (sum < {low}) sum = {low};
      if (sum > {high}) sum = {high};
      codes[(a * {plan.adcs} + adc)*{plan.code_bits} +: {plan.code_bits}] = sum[{plan.code_bits}-1:0];
    end
  end
endmodule

// Gives words.hex to the group as it can take them, and writes what leaves it, and when windows begin, to out.txt.
module bench;
  reg clk = 0, rst = 1;
  integer resets = 3;
  always #5 clk = ~clk;
  reg [{word_top}:0] words [0:{last_word}];
  reg [{word_top}:0] word;
  initial $readmemh("words.hex", words);
  // What a buffer answers where an index says which inputs rows take.
  reg [{input_top}:0] inputs [0:{inputs_last}];
  reg [15:0] vector = 0;
  localparam inputs_each = {inputs_each};
  {inputs}
{declarations}
  reg [15:0] block_loading = 0, block_next = 0, block_driving = 0;
  integer at = 0, loads = 0, quiet = 0, cycle = 0, out, n;
  mho_group group(.clk(clk), .rst(rst), {connections});
  mho_arrays black_box(.clk(clk), .block(block_driving), .drive(drive), .negative(negative), .convert(convert), .index(index), .codes(codes));
  initial begin
    out = $fopen("out.txt", "w");
    #1;
{zeros}
  end
  reg [{top[ready]}:0] ready_now;
  always @(posedge clk) if (window_begins) begin
    $fwrite(out, "B %0d\n", cycle);
    block_driving <= block_next;
  end

  always @(negedge clk) if (resets > 0) begin
    resets = resets - 1;
    rst = resets > 0;
  end else begin
    cycle <= cycle + 1;
    ready_now = ready;
    if (window_begins) block_next = block_loading;
    for (n = 0; n < {plan.makers}; n = n + 1) if (ready_now[n])
      $fwrite(out, "O %0d %0d %h %0d\n", n, numbers[n*{number_bits} +: {number_bits}], fixed[n*{wide} +: {wide}], made[n*{plan.output_bits} +: {plan.output_bits}]);
    {strobes}
    quiet = (!running && !loaded && loads == 0) ? quiet + 1 : 0;
    word = words[at];
    case (word[{op_top}:0])
{cases}
      default: begin $fwrite(out, "E %0d\n", cycle); $fclose(out); $finish; end
    endcase
  end
endmodule
